//! Who runs the source's server: on managed services settings and rights are changed in other ways.
//!
//! Told by roles and settings that only such a service has, never by the name of a host.

use walstream::{Client, quote_identifier};

use super::finding::Mend;
use crate::error::Result;

/// Who runs the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Service {
    /// Somebody who can edit its configuration.
    #[default]
    Own,
    Rds,
    CloudSql,
    AlloyDb,
    Azure,
}

/// How a role comes by the right to replicate, and a server by the setting.
const SIGNS: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication'),
                            EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloudsqlsuperuser'),
                            EXISTS (SELECT FROM pg_roles WHERE rolname = 'alloydbsuperuser'),
                            EXISTS (SELECT FROM pg_roles WHERE rolname = 'azure_pg_admin')";

impl Service {
    pub(super) async fn of(client: &mut Client) -> Result<Self> {
        let rows = client.query(SIGNS).await?;
        let has = |at| rows.first().and_then(|row| row.get(at)) == Some("t");
        // AlloyDB has some of Cloud SQL's roles too.
        Ok(match (has(0), has(1), has(2), has(3)) {
            (true, ..) => Self::Rds,
            (_, _, true, _) => Self::AlloyDb,
            (_, true, ..) => Self::CloudSql,
            (.., true) => Self::Azure,
            _ => Self::Own,
        })
    }

    /// In words.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::Rds => Some("Amazon RDS or Aurora"),
            Self::CloudSql => Some("Google Cloud SQL"),
            Self::AlloyDb => Some("Google AlloyDB"),
            Self::Azure => Some("Azure Database for PostgreSQL"),
        }
    }

    /// What gives a role the right to replicate.
    pub(super) fn grant_replication(self, role: &str) -> Mend {
        let role = quote_identifier(role);
        Mend::source(match self {
            Self::Rds => format!("GRANT rds_replication TO {role}"),
            _ => format!("ALTER ROLE {role} REPLICATION"),
        })
    }

    /// What makes the server write what logical decoding needs.
    pub(super) fn set_wal_level(self) -> Vec<Mend> {
        match self {
            Self::Own => set("wal_level", "logical", true),
            Self::Rds => by_hand(
                "set rds.logical_replication = 1 in its parameter group (Aurora: in that of the cluster), and reboot it",
            ),
            Self::CloudSql => {
                by_hand("set the flag cloudsql.logical_decoding = on, which restarts it")
            }
            Self::AlloyDb => {
                by_hand("set the flag alloydb.logical_decoding = on, which restarts it")
            }
            Self::Azure => by_hand("set the server parameter wal_level = logical, and restart it"),
        }
    }

    /// What changes another setting.
    pub(super) fn set(self, name: &str, value: &str, restart: bool) -> Vec<Mend> {
        if self == Self::Own {
            return set(name, value, restart);
        }
        let restart = if restart { ", and restart it" } else { "" };
        by_hand(format!(
            "set {name} = {value} among the server's parameters, where the service lets you{restart}"
        ))
    }
}

impl Service {
    /// What changes a setting that is a list, each of its names by itself: in one text they may be taken for one name.
    pub(super) fn set_list(self, name: &str, values: &[&str]) -> Vec<Mend> {
        if self != Self::Own {
            return self.set(name, &values.join(", "), false);
        }
        let values: Vec<String> = values
            .iter()
            .map(|it| walstream::quote_literal(it))
            .collect();
        let set = format!("ALTER SYSTEM SET {name} = {}", values.join(", "));
        vec![Mend::source(set), Mend::source("SELECT pg_reload_conf()")]
    }
}

/// What is done once a setting has changed that is read only at the start.
pub(super) const RESTART: &str = "restart the source's server";

// Statements of their own: ALTER SYSTEM cannot be in a transaction, and several in one text are one.
fn set(name: &str, value: &str, restart: bool) -> Vec<Mend> {
    let value = walstream::quote_literal(value);
    let set = Mend::source(format!("ALTER SYSTEM SET {name} = {value}"));
    let then = if restart {
        Mend::hand(RESTART)
    } else {
        Mend::source("SELECT pg_reload_conf()")
    };
    vec![set, then]
}

fn by_hand(text: impl Into<String>) -> Vec<Mend> {
    vec![Mend::hand(text)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_words_of_its_own_for_rights_and_settings() {
        let grant = |service: Service| service.grant_replication("a\"b").text;
        assert_eq!(grant(Service::Own), r#"ALTER ROLE "a""b" REPLICATION"#);
        assert_eq!(grant(Service::Rds), r#"GRANT rds_replication TO "a""b""#);
        assert_eq!(grant(Service::CloudSql), grant(Service::Azure));
        let level = |service: Service| service.set_wal_level().remove(0).text;
        assert_eq!(
            level(Service::Own),
            "ALTER SYSTEM SET wal_level = 'logical'"
        );
        assert!(level(Service::Rds).contains("rds.logical_replication = 1"));
        assert!(level(Service::CloudSql).contains("cloudsql.logical_decoding"));
        assert!(level(Service::AlloyDb).contains("alloydb.logical_decoding"));
        assert!(level(Service::Azure).contains("server parameter wal_level"));
    }
}
