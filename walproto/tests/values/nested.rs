//! Values made of others.

use walproto::Column;
use walproto::value::{Array, BoxArray, Composite, Element, Multirange, Quoted, Range};

use crate::oracle;

#[test]
fn smoke() {
    oracle::each(|oracle, _| {
        let answers = oracle.ask_query(
            "int4[]",
            "VALUES ('[0:1]={7,8}'::int4[]), ('{{1,2},{3,NULL}}'), ('{}')",
            &[],
        );
        for answer in answers {
            for form in answer.forms() {
                let array: Array = form.value().unwrap();
                eprintln!("{array:?}");
            }
        }
    });
}
