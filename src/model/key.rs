//! The id, the state and the use of a key.

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not yet signing.
    Pending,
    /// Signs and verifies.
    Active,
    /// Verifies what it once signed.
    Retired,
    /// Neither signs nor verifies.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Retired, Self::Revoked];

    /// How the store writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a key in this state verifies, and so is published.
    pub const fn verifies(self) -> bool {
        !matches!(self, Self::Revoked)
    }
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    /// Signs when it is its turn, and verifies.
    SignAndVerify,
    /// Verifies only: the key of another issuer, or of one before.
    VerifyOnly,
}

impl KeyUsage {
    /// Every usage.
    pub const ALL: [Self; 2] = [Self::SignAndVerify, Self::VerifyOnly];

    /// How the store writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignAndVerify => "sign",
            Self::VerifyOnly => "verify",
        }
    }

    /// The usage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name() == name)
    }
}
