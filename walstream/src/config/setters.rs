//! Setting what a connection string would say.

use std::path::Path;
use std::time::Duration;

use super::{
    AuthMethod, ChannelBinding, Config, Endpoint, Host, LoadBalanceHosts, RootCertificates,
    SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs, TlsVersion,
};

/// Setters, for all that a connection string can say. What contradicts itself is refused when a connection is made.
impl Config {
    /// Sets the TCP name or address of the first host or, where the text begins with `/`, the folder of its Unix socket.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.first().host = Host::of(host);
        self
    }

    /// Sets the port of the first host, also part of the name of a Unix socket; 5432 if not set.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.first().port = port;
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Sets the database; the user's name if not set.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.database = Some(database.to_owned());
        self
    }

    /// Sets the name under which `pg_stat_activity` and `synchronous_standby_names` know us; `walstream` if not set.
    #[must_use]
    pub fn with_application_name(mut self, name: &str) -> Self {
        self.application_name = name.to_owned();
        self
    }

    /// Sets command line options for the server's session, such as `-c work_mem=64MB`.
    ///
    /// Settings that shape values or end sessions are fixed, see [`Client::connect`](crate::Client::connect);
    /// connecting fails if one of them is among the options.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        self.options = Some(options.to_owned());
        self
    }

    /// Sets how long connecting may take, login included; zero for no limit, 30 seconds if not set.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets after how much silence of ours the server ends a replication session and frees its slot; zero for never,
    /// 15 seconds if not set.
    #[must_use]
    pub const fn with_wal_sender_timeout(mut self, timeout: Duration) -> Self {
        self.wal_sender_timeout = timeout;
        self
    }

    /// Sets the largest message that is accepted, and so how much memory one row may take; 1 GiB if not set, which
    /// is more than a server can send.
    #[must_use]
    pub const fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets all hosts, at least one, in the order in which they are tried.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.endpoints = endpoints.into_iter().collect();
        self
    }

    /// Sets which of several servers is taken; [`TargetSessionAttrs::Any`] if not set.
    #[must_use]
    pub const fn with_target_session_attrs(mut self, target: TargetSessionAttrs) -> Self {
        self.target = target;
        self
    }

    /// Sets in which order several servers are tried; as they are written if not set.
    #[must_use]
    pub const fn with_load_balance_hosts(mut self, order: LoadBalanceHosts) -> Self {
        self.load_balance = order;
        self
    }

    /// Sets the file in which a password is looked up if none is set and the server asks for one.
    ///
    /// A file that others than its owner may read or write is not used, and a warning logged.
    #[must_use]
    pub fn with_passfile(mut self, file: impl AsRef<Path>) -> Self {
        self.passfile = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the home folder: passwords are looked up in its `.pgpass`, certificates that are not set in its
    /// `.postgresql`.
    #[must_use]
    pub fn with_home(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        self.passfile = Some(folder.join(".pgpass"));
        self.tls.home = Some(folder.join(".postgresql"));
        self
    }

    /// Sets whether TLS is used, and how much of the server's certificate is checked; [`SslMode::Prefer`] if not set.
    #[must_use]
    pub const fn with_sslmode(mut self, mode: SslMode) -> Self {
        self.tls.mode = mode;
        self
    }

    /// Sets how TLS begins; the server is asked first if not set.
    #[must_use]
    pub const fn with_sslnegotiation(mut self, negotiation: SslNegotiation) -> Self {
        self.tls.negotiation = negotiation;
        self
    }

    /// Sets where the certificates are that vouch for servers; those of the system raise `sslmode` to
    /// [`SslMode::VerifyFull`], below which they are refused.
    #[must_use]
    pub fn with_sslrootcert(mut self, roots: RootCertificates) -> Self {
        if roots == RootCertificates::System {
            self.tls.mode = SslMode::VerifyFull;
        }
        self.tls.roots = roots;
        self
    }

    /// Sets the client's certificate, a PEM file; `postgresql.crt` in `.postgresql` of the home folder if not set.
    #[must_use]
    pub fn with_sslcert(mut self, file: impl AsRef<Path>) -> Self {
        self.tls.certificate = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the key of the client's certificate, a PEM file; `postgresql.key` in `.postgresql` of the home folder if
    /// not set.
    #[must_use]
    pub fn with_sslkey(mut self, file: impl AsRef<Path>) -> Self {
        self.tls.key = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the password of an encrypted key.
    #[must_use]
    pub fn with_sslpassword(mut self, password: &str) -> Self {
        self.tls.key_password = Some(password.to_owned());
        self
    }

    /// Sets whether the client's certificate is shown; if the server asks and there is one, if not set.
    #[must_use]
    pub const fn with_sslcertmode(mut self, mode: SslCertMode) -> Self {
        self.tls.certificate_mode = mode;
        self
    }

    /// Sets a PEM file of revoked certificates; `root.crl` in `.postgresql` of the home folder if not set.
    #[must_use]
    pub fn with_sslcrl(mut self, file: impl AsRef<Path>) -> Self {
        self.tls.revoked = Some(file.as_ref().to_owned());
        self
    }

    /// Sets a folder of such files.
    #[must_use]
    pub fn with_sslcrldir(mut self, folder: impl AsRef<Path>) -> Self {
        self.tls.revoked_folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Sets whether the host's name is said in the clear when TLS begins; it is if not set.
    #[must_use]
    pub const fn with_sslsni(mut self, said: bool) -> Self {
        self.tls.server_name = said;
        self
    }

    /// Sets the oldest version of TLS; 1.2 if not set.
    #[must_use]
    pub const fn with_ssl_min_protocol_version(mut self, version: TlsVersion) -> Self {
        self.tls.least = version;
        self
    }

    /// Sets the newest version of TLS; 1.3 if not set.
    #[must_use]
    pub const fn with_ssl_max_protocol_version(mut self, version: TlsVersion) -> Self {
        self.tls.most = version;
        self
    }

    /// Sets whether a login by SCRAM is bound to the TLS connection; where the server offers it if not set.
    #[must_use]
    pub const fn with_channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.authentication.channel_binding = binding;
        self
    }

    /// Sets by which methods the server may let us in; all of them if not set.
    #[must_use]
    pub fn with_require_auth(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        let mut allowed = [false; AuthMethod::ALL.len()];
        for method in methods {
            for (known, allowed) in AuthMethod::ALL.iter().zip(&mut allowed) {
                *allowed |= *known == method;
            }
        }
        self.authentication.allowed = Some(allowed);
        self
    }

    /// Sets the operating system's user that a server behind a Unix socket has to run as.
    #[must_use]
    pub fn with_requirepeer(mut self, user: &str) -> Self {
        self.require_peer = Some(user.to_owned());
        self
    }

    /// Sets whether the system probes a silent TCP connection; it does if not set.
    #[must_use]
    pub const fn with_keepalives(mut self, probes: bool) -> Self {
        self.tcp.keepalives = probes;
        self
    }

    /// Sets after how much silence it does, in whole seconds; zero for the system's default.
    #[must_use]
    pub fn with_keepalives_idle(mut self, time: Duration) -> Self {
        self.tcp.idle = Some(time).filter(|time| !time.is_zero());
        self
    }

    /// Sets how long it waits for an answer before it probes again, in whole seconds; zero for the system's default.
    #[must_use]
    pub fn with_keepalives_interval(mut self, time: Duration) -> Self {
        self.tcp.interval = Some(time).filter(|time| !time.is_zero());
        self
    }

    /// Sets how many probes in a row may stay without an answer; zero for the system's default.
    #[must_use]
    pub fn with_keepalives_count(mut self, count: u32) -> Self {
        self.tcp.count = Some(count).filter(|count| *count > 0);
        self
    }

    /// Sets how long what was sent may stay unacknowledged, in whole milliseconds; zero for the system's default.
    #[must_use]
    pub fn with_tcp_user_timeout(mut self, time: Duration) -> Self {
        self.tcp.user_timeout = Some(time).filter(|time| !time.is_zero());
        self
    }

    fn first(&mut self) -> &mut Endpoint {
        if self.endpoints.is_empty() {
            self.endpoints.push(Endpoint::new("", 5432));
        }
        self.endpoints
            .first_mut()
            .expect("one has been pushed if there was none")
    }
}
