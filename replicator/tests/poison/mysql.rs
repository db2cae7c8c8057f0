//! What MariaDB has to say for itself.

use crate::bench::{Case, Product};
use crate::place::{MariaDb, Place};

impl Product for MariaDb {
    const TEXT: &str = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

    fn forbid(&self, table: &str) {
        self.sql(&format!(
            "CREATE TRIGGER forbid BEFORE INSERT ON {table} FOR EACH ROW
             IF NEW.v = 'forbidden' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not here'; END IF"
        ));
    }

    fn spoil(&self, table: &str) {
        self.sql(&format!(
            "CREATE TRIGGER spoil AFTER INSERT ON {table} FOR EACH ROW INSERT INTO nowhere VALUES (NEW.id)"
        ));
    }

    fn words(case: Case) -> &'static str {
        match case {
            Case::Check => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7: CONSTRAINT `small` failed for `DATABASE`.`t` [4025, SQLSTATE 23000]
  sql: INSERT INTO `t` (`id`, `n`, `v`) VALUES (?, ?, ?) <- 7, 100, 'much'
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Trigger => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7: not here [1644, SQLSTATE 45000]
  sql: INSERT INTO `t` (`id`, `n`, `v`) VALUES (?, ?, ?) <- 7, 1, 'forbidden'
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Missing => {
                r#"error: table public.t, update at LSN: the destination refuses the row with id = 1: Column 'v' cannot be null [1048, SQLSTATE 23000]
  sql: UPDATE `t` SET `n` = ?, `v` = ? WHERE `id` = ? <- 1, NULL, 1
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Conflict => {
                r#"error: table public.t, delete at LSN: conflict: there is no row with id = 1
  sql: DELETE FROM `t` WHERE `id` = ? <- 1
 hint: somebody else has changed table "t" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Another => {
                r#"error: table public.free, insert at LSN: conflict: a row with id = 7 is there already
cause: Duplicate entry '7' for key 'PRIMARY' [1062, SQLSTATE 23000]
  sql: INSERT INTO `free` (`id`, `v`) VALUES (?, ?) <- 7, 'ours'
 hint: somebody else has changed table "free" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
        }
    }
}
