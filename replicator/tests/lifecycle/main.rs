//! How a run begins, is watched, pauses and ends.
#![cfg(all(feature = "sqlite", feature = "postgres"))]

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part of this")]
mod faults_common;

mod end;
mod notify;
mod pause;

use testdata::Client;

use faults_common::{PATIENCE, Running, Site, program, until};

/// A run from a site into a database of its own on the same server, where rows of `t` can be held up.
struct Pair {
    site: Site,
    there: String,
}

impl Pair {
    fn new() -> Self {
        let site = Site::new();
        let there = site.database.replace("source", "destination");
        let mut admin = Client::connect(&site.server, "postgres").expect("a connection");
        admin
            .batch(&format!("CREATE DATABASE {there}"))
            .expect("a database");
        let pair = Self { site, there };
        pair.run(&["--until", "current"]).wait(PATIENCE).done();
        // It polls, so that the server sees a statement at work and no lock that is waited for.
        pair.there()
            .batch(
                "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.02); END LOOP;
                     RETURN NULL;
                 END $$;
                 CREATE TRIGGER held AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION held()",
            )
            .expect("a trigger");
        pair
    }

    fn run(&self, more: &[&str]) -> Running {
        let mut command = program();
        command.args(["run", "--slot", &self.site.slot]);
        command.args(["--source", &self.site.source()]);
        command.args(["--destination", &self.site.server.url(&self.there)]);
        Running::start(command.args(more))
    }

    fn there(&self) -> Client {
        Client::connect(&self.site.server, &self.there).expect("a connection")
    }

    /// Lets inserts at the destination take until it is dropped.
    fn hold(&self) -> Client {
        let mut client = self.there();
        client
            .value("SELECT pg_advisory_lock(7)")
            .expect("the lock");
        client
    }

    fn rows(client: &mut Client) -> String {
        let sql = "SELECT coalesce(string_agg(id || v, ',' ORDER BY id), '') FROM t";
        client.value(sql).expect("the rows")
    }

    /// Both sides are the same once a run has caught up.
    fn is_complete(&self) {
        self.run(&["--until", "current"]).wait(PATIENCE).done();
        let (mut here, mut there) = (self.site.client(), self.there());
        assert_eq!(Self::rows(&mut there), Self::rows(&mut here));
    }
}
