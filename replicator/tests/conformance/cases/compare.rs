//! The comparison itself: what it would not find, no case here would notice.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

pub(crate) fn planted_faults_are_found<P: Place>() {
    let mut stage = Stage::<P>::told(Version::NEWEST, P::EXACT);
    stage.follow_through(
        "CREATE TABLE t (id int PRIMARY KEY, n bigint, v text, f float8);
         INSERT INTO t VALUES (1, 1, 'one', 0), (2, 2, '', '-0'), (3, 3, NULL, 'NaN'), (4, 9007199254740993, 'x ', 0.1)",
    );
    let t = stage.place.name("public", "t");
    let faults = [
        // A cell.
        (
            "UPDATE {} SET n = 9007199254740992 WHERE id = 4",
            "UPDATE {} SET n = 9007199254740993 WHERE id = 4",
            2,
        ),
        (
            "UPDATE {} SET v = 'x' WHERE id = 4",
            "UPDATE {} SET v = 'x ' WHERE id = 4",
            2,
        ),
        (
            "UPDATE {} SET v = 'One' WHERE id = 1",
            "UPDATE {} SET v = 'one' WHERE id = 1",
            2,
        ),
        (
            "UPDATE {} SET v = NULL WHERE id = 2",
            "UPDATE {} SET v = '' WHERE id = 2",
            2,
        ),
        (
            "UPDATE {} SET v = '' WHERE id = 3",
            "UPDATE {} SET v = NULL WHERE id = 3",
            2,
        ),
        (
            "UPDATE {} SET f = '-0' WHERE id = 1",
            "UPDATE {} SET f = 0.0 WHERE id = 1",
            2,
        ),
        (
            "UPDATE {} SET f = 0.1 WHERE id = 3",
            "UPDATE {} SET f = 'NaN' WHERE id = 3",
            2,
        ),
        (
            "UPDATE {} SET f = 0.1000000000000001 WHERE id = 4",
            "UPDATE {} SET f = 0.1 WHERE id = 4",
            2,
        ),
        // A missing row.
        (
            "DELETE FROM {} WHERE id = 1",
            "INSERT INTO {} VALUES (1, 1, 'one', 0.0)",
            1,
        ),
        // An extra one.
        (
            "INSERT INTO {} VALUES (5, 5, 'five', 5)",
            "DELETE FROM {} WHERE id = 5",
            1,
        ),
    ];
    for (plant, mend, count) in faults {
        stage.place.sql(&plant.replace("{}", &t));
        let found = stage.differences();
        assert_eq!(found.len(), count, "{plant}: {found:?}");
        stage.place.sql(&mend.replace("{}", &t));
        stage.assert_equal();
    }
}
