//! Values as five versions of the server write them, in both forms, by the thousand.

mod oracle;

mod values {
    mod arrays;
    mod bits;
    mod bytes;
    mod composites;
    mod floats;
    mod integers;
    mod nested;
    mod network;
    mod numeric;
    mod ranges;
    mod text;
    mod time;
}
