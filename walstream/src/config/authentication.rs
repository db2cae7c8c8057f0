//! How we may prove who we are: libpq's `channel_binding` and `require_auth`.

/// Whether the login is bound to the TLS connection, so that nobody in between can use it: libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Always; a server that lets us in otherwise is refused.
    Require,
}

impl ChannelBinding {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 3] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
    ];
}

/// A way to prove who we are, as `require_auth` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `password`: the password in the clear.
    Password,
    /// `md5`: a hash of the password.
    Md5,
    /// `gss`: Kerberos, which is not supported here.
    Gss,
    /// `sspi`: Windows, which is not supported here.
    Sspi,
    /// `scram-sha-256`: SCRAM, with or without channel binding.
    ScramSha256,
    /// `oauth`, which is not supported here.
    OAuth,
    /// `none`: the server asks for nothing.
    None,
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 7] = [
        Self::Password,
        Self::Md5,
        Self::Gss,
        Self::Sspi,
        Self::ScramSha256,
        Self::OAuth,
        Self::None,
    ];

    /// As `require_auth` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::Gss => "gss",
            Self::Sspi => "sspi",
            Self::ScramSha256 => "scram-sha-256",
            Self::OAuth => "oauth",
            Self::None => "none",
        }
    }
}

/// How the server may ask us to prove who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Authentication {
    pub(crate) channel_binding: ChannelBinding,
    /// Which methods are allowed, by their place in [`AuthMethod::ALL`]; `None` for all of them.
    pub(crate) allowed: Option<[bool; AuthMethod::ALL.len()]>,
}

impl Authentication {
    /// Whether the server may let us in by this method.
    pub(crate) fn allows(&self, method: AuthMethod) -> bool {
        self.allowed.is_none_or(|allowed| {
            AuthMethod::ALL
                .iter()
                .zip(allowed)
                .any(|(known, allowed)| *known == method && allowed)
        })
    }
}
