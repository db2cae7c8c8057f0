//! What any text becomes, and what its kind keeps.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text_becomes_one_of_the_same_length(text: String, bytes: Vec<u8>) {
        let cipher = Cipher::default();
        let len = text.len();
        prop_assert_eq!(words(&cipher, text.as_bytes()).len(), len);
        prop_assert_eq!(words(&cipher, &bytes).len(), bytes.len());
        prop_assert_eq!(json(&cipher, &text).len(), len);
        prop_assert_eq!(xml(&cipher, &text).len(), len);
        prop_assert_eq!(numbers(&cipher, &text).len(), len);
        prop_assert_eq!(money(&cipher, &text).len(), len);
        prop_assert_eq!(lexemes(&cipher, &text).len(), len);
        let element = |it: &str| String::from_utf8(words(&cipher, it.as_bytes())).unwrap();
        prop_assert_eq!(elements(&text, element).len(), len);
    }

    #[test]
    fn a_number_stays_in_its_width(value: i64, short: i16, float: f32) {
        let cipher = Cipher::default();
        let other: i64 = number(&cipher, &value.to_string()).parse().unwrap();
        prop_assert_eq!(other.to_string().len(), value.to_string().len());
        number(&cipher, &short.to_string()).parse::<i16>().unwrap();
        let text = format!("{float:e}");
        if float.is_finite() {
            prop_assert!(number(&cipher, &text).parse::<f32>().unwrap().is_finite());
        }
    }
}

fn shape(text: &str) -> String {
    let of = |it: char| match it {
        '0'..='9' => '9',
        _ if it.is_lowercase() => 'a',
        _ if it.is_uppercase() => 'A',
        _ if it.is_alphabetic() => 'x',
        _ => it,
    };
    text.chars().map(of).collect()
}

#[test]
fn letters_keep_their_case_and_their_script() {
    let cipher = Cipher::default();
    for text in ["Größe 42, Straße 7!", "Привет", "日本語", "e\u{301} 😀"] {
        let other = String::from_utf8(words(&cipher, text.as_bytes())).unwrap();
        assert_eq!(shape(&other), shape(text));
        // One letter becomes itself under one key in 26; three or more together never did.
        let letters = text.chars().filter(|it| it.is_alphabetic()).count();
        assert!(letters < 3 || other != text, "{other}");
    }
}

#[test]
fn json_stays_json_and_xml_well_formed() {
    let cipher = Cipher::default();
    let text = r#"{"a\u00e9\n": [1.50, -0, 0.5, 1e+10, true, null, "x\"y"], "b": {"a": ""}}"#;
    let other = json(&cipher, text);
    let value: serde_json::Value = serde_json::from_str(&other).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 2, "{other}");
    assert!(
        other.contains("true, null") && other.contains(r"\u00e9\n"),
        "{other}"
    );

    let text = "<?xml version=\"1.0\"?><order id=\"77\">caf\u{e9} &amp; t\u{e9}</order>";
    let other = xml(&cipher, text);
    assert!(
        other.starts_with("<?xml version=\"1.0\"?><") && other.contains(" &amp; "),
        "{other}"
    );
    let name = &other["<?xml version=\"1.0\"?><".len()..][..5];
    assert!(other.ends_with(&format!("</{name}>")), "{other}");
    assert_ne!(name, "order");
}

#[test]
fn arrays_keep_their_nulls_bounds_and_quotes() {
    let cipher = Cipher::default();
    let element = |it: &str| String::from_utf8(words(&cipher, it.as_bytes())).unwrap();
    for (text, other) in [
        ("{NULL,null}", "{NULL,null}"),
        ("[0:1]={{},{}}", "[0:1]={{},{}}"),
        ("empty", "aaaaa"),
        (r#"{ab,"c d\"e",NULL}"#, r#"{aa,"a a\"a",NULL}"#),
        ("[1,)", "[9,)"),
    ] {
        let replaced = elements(text, element);
        let keeps = |it: &str| {
            it.replace("NULL", "")
                .replace("null", "")
                .replace("[0:1]", "")
        };
        assert_eq!(shape(&keeps(&replaced)), keeps(other), "{replaced}");
    }
}
