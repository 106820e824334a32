//! What happened that somebody may want to know later: who, from where, how?

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Order,
};
use time::Duration;

use super::{
    caller::{Caller, ClientInfo},
    entity::audit_event::{ActiveModel, Column, Entity, Model},
};
use crate::datetime::Timestamp;

/// Events on a page of the list.
pub(crate) const PAGE: u64 = 50;

/// How long attempts that failed are kept.
const FAILURES: Duration = Duration::days(180);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SetUp,
    SignedIn,
    SignInFailed,
    SignInThrottled,
    SignedOut,
    SessionRevoked,
    PasswordChanged,
    PasswordReset,
    ProfileChanged,
    TotpAdded,
    TotpRemoved,
    RecoveryCodeUsed,
    PasskeyAdded,
    PasskeyRemoved,
    TokenCreated,
    TokenRevoked,
    InvitationCreated,
    InvitationRevoked,
    InvitationAccepted,
    ResetCreated,
    UserCreated,
    UserChanged,
    AccountLinked,
    AccountUnlinked,
    Restored,
    BackupMade,
    RecordDeleted,
    RecordPutBack,
    RecordErased,
    RecordVisibilityChanged,
    BinderExported,
    BinderImported,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 32] = [
        Self::SetUp,
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignInThrottled,
        Self::SignedOut,
        Self::SessionRevoked,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::ProfileChanged,
        Self::TotpAdded,
        Self::TotpRemoved,
        Self::RecoveryCodeUsed,
        Self::PasskeyAdded,
        Self::PasskeyRemoved,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::InvitationCreated,
        Self::InvitationRevoked,
        Self::InvitationAccepted,
        Self::ResetCreated,
        Self::UserCreated,
        Self::UserChanged,
        Self::AccountLinked,
        Self::AccountUnlinked,
        Self::Restored,
        Self::BackupMade,
        Self::RecordDeleted,
        Self::RecordPutBack,
        Self::RecordErased,
        Self::RecordVisibilityChanged,
        Self::BinderExported,
        Self::BinderImported,
    ];

    /// Returns the name in the database and the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set_up",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignInThrottled => "sign_in_throttled",
            Self::SignedOut => "signed_out",
            Self::SessionRevoked => "session_revoked",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::ProfileChanged => "profile_changed",
            Self::TotpAdded => "totp_added",
            Self::TotpRemoved => "totp_removed",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRemoved => "passkey_removed",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::InvitationCreated => "invitation_created",
            Self::InvitationRevoked => "invitation_revoked",
            Self::InvitationAccepted => "invitation_accepted",
            Self::ResetCreated => "reset_created",
            Self::UserCreated => "user_created",
            Self::UserChanged => "user_changed",
            Self::AccountLinked => "account_linked",
            Self::AccountUnlinked => "account_unlinked",
            Self::Restored => "restored",
            Self::BackupMade => "backup_made",
            Self::RecordDeleted => "record_deleted",
            Self::RecordPutBack => "record_put_back",
            Self::RecordErased => "record_erased",
            Self::RecordVisibilityChanged => "record_visibility_changed",
            Self::BinderExported => "binder_exported",
            Self::BinderImported => "binder_imported",
        }
    }

    /// Returns the kind with this name; `None`: one of a later version.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Who did something, as it is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    user_id: Option<i64>,
    who: String,
    method: String,
    address: String,
    user_agent: String,
}

impl Actor {
    /// Returns somebody of the household who is signed in.
    pub(crate) fn caller(caller: &Caller) -> Self {
        Self::user(caller.user.id, &caller.user.email, &caller.by.name(), &caller.client)
    }

    /// Returns somebody of the household who comes in by this method.
    pub(crate) fn user(id: i64, email: &str, method: &str, client: &ClientInfo) -> Self {
        Self { user_id: Some(id), ..Self::somebody(email, method, client) }
    }

    /// Returns somebody of whom only the word is known.
    pub(crate) fn somebody(who: &str, method: &str, client: &ClientInfo) -> Self {
        Self {
            user_id: None,
            who: who.to_owned(),
            method: method.to_owned(),
            address: client.address(),
            user_agent: client.user_agent.clone(),
        }
    }

    /// Returns the app, which empties the trash.
    pub(crate) fn app() -> Self {
        Self { who: "Hearth".to_owned(), ..Self::default() }
    }

    /// Returns the supervisor, which makes backups.
    pub(crate) fn supervisor() -> Self {
        Self { who: "the supervisor".to_owned(), ..Self::default() }
    }

    /// Returns the operator, who works on the server itself.
    pub(crate) fn operator(method: &str) -> Self {
        Self { who: "the operator".to_owned(), method: method.to_owned(), ..Self::default() }
    }
}

/// Writes down that something happened to `subject`, in the transaction that does it.
pub(crate) async fn write(
    transaction: &impl ConnectionTrait,
    kind: Kind,
    actor: &Actor,
    subject: &str,
) -> Result<(), DbErr> {
    let event = ActiveModel {
        id: NotSet,
        at: Set(Timestamp::now()),
        kind: Set(kind.name().to_owned()),
        user_id: Set(actor.user_id),
        who: Set(actor.who.clone()),
        subject: Set(subject.to_owned()),
        method: Set(actor.method.clone()),
        address: Set(actor.address.clone()),
        user_agent: Set(actor.user_agent.clone()),
    };
    Entity::insert(event).exec_without_returning(transaction).await.map(drop)
}

/// Forgets attempts that failed long ago: anybody can make as many of them as the throttle lets through. What somebody
/// did stays for good.
pub(crate) async fn tidy(transaction: &impl ConnectionTrait) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::Kind.is_in([Kind::SignInFailed.name(), Kind::SignInThrottled.name()]))
        .filter(Column::At.lt(Timestamp::now().before(FAILURES)))
        .exec(transaction)
        .await
        .map(drop)
}

/// A page of the audit log.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Newest first.
    pub(crate) events: Vec<Model>,
    /// Before which event the next page begins, when there is one.
    pub(crate) next: Option<i64>,
}

/// Returns a page of so many events, those before the one with this id.
pub(crate) async fn list(reads: &DatabaseConnection, before: Option<i64>, limit: u64) -> Result<Page, DbErr> {
    // One more than there is room for tells whether there is a next page.
    let all = Entity::find().order_by(Column::Id, Order::Desc).limit(limit + 1);
    let mut events = match before {
        Some(id) => all.filter(Column::Id.lt(id)).all(reads).await?,
        None => all.all(reads).await?,
    };
    let more = events.len() as u64 > limit;
    if more {
        events.pop();
    }
    Ok(Page { next: events.last().map(|event| event.id).filter(|_| more), events })
}

/// Returns the newest event of a kind.
pub(crate) async fn newest(reads: &DatabaseConnection, kind: Kind) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Kind.eq(kind.name())).order_by(Column::Id, Order::Desc).one(reads).await
}
