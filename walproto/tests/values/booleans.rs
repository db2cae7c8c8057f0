use crate::oracle;

#[test]
fn booleans_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let inputs = ["t", "f"].map(String::from);
        let answers = oracle.ask("boolean", &inputs, &["x = true"]);
        assert_eq!(answers.len(), 2);
        for answer in &answers {
            assert_eq!(answer.value::<bool>(), answer.told(0) == "true");
        }
        oracle::survives_junk(&answers, random, |column| column.value::<bool>());
    });
}
