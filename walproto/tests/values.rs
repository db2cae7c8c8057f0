//! Values as five versions of the server write them, in both forms, by the thousand.

mod oracle;

mod values {
    mod booleans;
}
