//! What may somebody do, and how did they show who they are?

use poem_openapi::Enum;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// The role of a user. Each role can do all that the one before it can. A `guest` reads the household's records, a
/// `member` also edits records, an `admin` also manages members and guests, an `owner` also manages admins and owners.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Guest,
    Member,
    Admin,
    Owner,
}

impl Role {
    /// All roles, from the one that may least.
    pub(crate) const ALL: [Self; 4] = [Self::Guest, Self::Member, Self::Admin, Self::Owner];

    /// Returns the role's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Returns whether somebody with this role may change or invite somebody with the `other` one: an owner anybody, an
    /// admin members and guests.
    pub(crate) fn rules(self, other: Self) -> bool {
        self == Self::Owner || (self == Self::Admin && other < Self::Admin)
    }
}

/// The scope of a token, within its user's role: `read` reads, `write` also changes records, `admin` can do all that
/// its user can.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Read,
    Write,
    Admin,
}

impl Scope {
    /// All scopes, from the smallest.
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Returns the scope's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The method of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Method {
    SetUp,
    Password,
    PasswordAndCode,
    Passkey,
    Invitation,
    Reset,
    Oidc,
}

impl Method {
    /// Returns the method's name in the audit log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set-up code",
            Self::Password => "password",
            Self::PasswordAndCode => "password and code",
            Self::Passkey => "passkey",
            Self::Invitation => "invitation",
            Self::Reset => "reset link",
            Self::Oidc => "single sign-on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_rules_their_equals_but_owners() {
        let rules: Vec<_> = Role::ALL
            .into_iter()
            .flat_map(|role| {
                Role::ALL.into_iter().filter(move |other| role.rules(*other)).map(move |other| (role, other))
            })
            .collect();
        assert_eq!(
            rules,
            [
                (Role::Admin, Role::Guest),
                (Role::Admin, Role::Member),
                (Role::Owner, Role::Guest),
                (Role::Owner, Role::Member),
                (Role::Owner, Role::Admin),
                (Role::Owner, Role::Owner),
            ]
        );
    }
}
