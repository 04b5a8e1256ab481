//! Identities: integers, resolved once, never a client's string.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Takes a database's key; `None` unless it is positive.
            pub const fn new(key: i64) -> Option<Self> {
                if key > 0 { Some(Self(key)) } else { None }
            }

            /// The database's key, at least 1.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
pub(crate) use number;

number! {
    /// A customer of the provider: the boundary that no query, key or cache entry crosses.
    TenantId
}

number! {
    /// A mail domain of a tenant.
    DomainId
}

macro_rules! within_tenant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            tenant: TenantId,
            number: i64,
        }

        impl $name {
            /// Takes a tenant and a database's key; `None` unless the key is positive.
            pub const fn new(tenant: TenantId, number: i64) -> Option<Self> {
                if number > 0 { Some(Self { tenant, number }) } else { None }
            }

            /// The tenant it belongs to.
            pub const fn tenant(self) -> TenantId {
                self.tenant
            }

            /// The database's key, at least 1, never used again after a removal.
            pub const fn number(self) -> i64 {
                self.number
            }
        }

        /// `tenant/number`: for logs, never parsed back.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.tenant, self.number)
            }
        }
    };
}

within_tenant! {
    /// A user who can log in.
    AccountId
}

within_tenant! {
    /// The messages of one account.
    MaildropId
}

impl AccountId {
    /// The maildrop of this account; every account has exactly one, under the same number.
    pub const fn maildrop(self) -> MaildropId {
        MaildropId {
            tenant: self.tenant,
            number: self.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_positive() {
        assert!(TenantId::new(0).is_none());
        assert!(TenantId::new(-1).is_none());
        let tenant = TenantId::new(1).unwrap();
        assert!(AccountId::new(tenant, 0).is_none());
        assert!(MaildropId::new(tenant, -5).is_none());
    }

    #[test]
    fn tenant_1_user_23_is_not_tenant_12_user_3() {
        let a = AccountId::new(TenantId::new(1).unwrap(), 23).unwrap();
        let b = AccountId::new(TenantId::new(12).unwrap(), 3).unwrap();
        assert_ne!(a, b);
        assert_ne!(a.to_string(), b.to_string());
    }
}
