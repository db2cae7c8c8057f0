//! The spool from outside: flat memory, files that nobody sees, and nothing left of them.

mod files;
mod flat;
mod walsender;
