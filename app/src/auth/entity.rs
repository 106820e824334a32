//! What do the tables of accounts hold? The migrator makes them (`m0002_accounts`); this is the app's view of them.

/// A user of the household.
pub mod user {
    use sea_orm::{entity::prelude::*, sea_query::SimpleExpr};

    use crate::{auth::role::Role, datetime::Timestamp, db::is_known};

    /// That this version knows what somebody may do. Whose role only a newer version knows is nobody to this one.
    pub(crate) fn has_known_role() -> SimpleExpr {
        is_known::<Role>(Column::Role)
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub name: String,
        /// In lower case; no two are the same.
        #[sea_orm(column_type = "Text")]
        pub email: String,
        pub role: Role,
        pub disabled: bool,
        #[sea_orm(column_type = "Text")]
        pub created_at: Timestamp,
        #[sea_orm(column_type = "Text")]
        pub updated_at: Timestamp,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Makes a table whose rows belong to somebody of the household.
macro_rules! of_a_user {
    ($(#[$doc:meta])* $module:ident, $table:literal, $($(#[$field_doc:meta])* $field:ident: $type:ty,)*) => {
        $(#[$doc])*
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[allow(unused_imports, reason = "each table takes what it needs")]
            use crate::{auth::role::{Method, Scope}, datetime::Timestamp};

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i64,
                pub user_id: i64,
                $($(#[$field_doc])* #[sea_orm(column_type = "Text")] pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {
                #[sea_orm(
                    belongs_to = "crate::auth::entity::user::Entity",
                    from = "Column::UserId",
                    to = "crate::auth::entity::user::Column::Id"
                )]
                User,
            }

            impl Related<crate::auth::entity::user::Entity> for Entity {
                fn to() -> RelationDef {
                    Relation::User.def()
                }
            }

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

of_a_user! {
    /// A way of signing in.
    account, "account",
    /// `password`, `tailscale` or `oidc`.
    provider: String,
    /// For `password` the user's id, for `tailscale` the login, for `oidc` issuer and subject.
    provider_id: String,
    /// As PHC text; with a password only.
    password_hash: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

of_a_user! {
    /// A signed-in browser.
    session, "session",
    token_hash: String,
    method: Method,
    address: String,
    user_agent: String,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
}

of_a_user! {
    /// A key pair of somebody's device.
    passkey, "passkey",
    name: String,
    credential_id: String,
    /// What has to be known to check a signature, as JSON.
    credential: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

of_a_user! {
    /// A program's key.
    api_token, "api_token",
    name: String,
    token_hash: String,
    scope: Scope,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

/// What a request with a key of the client's created.
pub mod idempotency_key {
    use sea_orm::entity::prelude::*;

    use crate::datetime::Timestamp;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub key: String,
        /// Of the operation and the body.
        #[sea_orm(column_type = "Text")]
        pub request_hash: String,
        /// Which one was created; the hash says of what kind.
        pub created_id: i64,
        #[sea_orm(column_type = "Text")]
        pub created_at: Timestamp,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The secret of somebody's one-time passwords.
pub mod totp {
    use sea_orm::entity::prelude::*;

    use crate::datetime::Timestamp;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "totp")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub user_id: i64,
        #[sea_orm(column_type = "Text")]
        pub secret: String,
        /// When a first code was shown to be right; until then it is not asked for.
        #[sea_orm(column_type = "Text", nullable)]
        pub confirmed_at: Option<Timestamp>,
        /// The step of the last code that was taken: none is taken twice.
        pub last_step: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub created_at: Timestamp,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A secret that was given out for one use: a code, a link, a known device.
pub mod verification {
    use sea_orm::entity::prelude::*;

    use crate::{auth::role::Role, datetime::Timestamp};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "verification")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub kind: Kind,
        #[sea_orm(column_type = "Text")]
        pub token_hash: String,
        pub user_id: Option<i64>,
        /// Of an invitation: what who takes it becomes.
        pub role: Option<Role>,
        /// Of an invitation: whom it is for.
        #[sea_orm(column_type = "Text", nullable)]
        pub email: Option<String>,
        pub created_by: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub created_at: Timestamp,
        #[sea_orm(column_type = "Text")]
        pub expires_at: Timestamp,
        #[sea_orm(column_type = "Text", nullable)]
        pub used_at: Option<Timestamp>,
    }

    /// What it is good for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
    pub enum Kind {
        /// To become the owner of an instance that has none.
        SetUp,
        /// To become one of the household.
        Invitation,
        /// To choose a new password.
        Reset,
        /// In place of a one-time password.
        Recovery,
        /// A browser that its user has signed in with before.
        Device,
        /// The second step of a sign-in whose password was right.
        SecondStep,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An event of the audit log.
pub mod audit_event {
    use sea_orm::entity::prelude::*;

    use crate::datetime::Timestamp;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_event")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(column_type = "Text")]
        pub at: Timestamp,
        #[sea_orm(column_type = "Text")]
        pub kind: String,
        /// Who did it; nobody of the household when absent.
        pub user_id: Option<i64>,
        /// The name or e-mail of who did it, as it was then.
        #[sea_orm(column_type = "Text")]
        pub who: String,
        /// The person or thing that was affected.
        #[sea_orm(column_type = "Text")]
        pub subject: String,
        /// How who did it was known: a session, a token, on the server.
        #[sea_orm(column_type = "Text")]
        pub method: String,
        #[sea_orm(column_type = "Text")]
        pub address: String,
        #[sea_orm(column_type = "Text")]
        pub user_agent: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
