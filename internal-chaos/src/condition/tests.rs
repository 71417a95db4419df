use super::*;

#[test]
fn conditions_are_known_by_name() {
    for condition in ALL {
        assert_eq!(condition.name.parse(), Ok(condition));
        let text = serde_json::to_string(&condition).unwrap();
        assert_eq!(text, format!("\"{condition}\""));
        assert_eq!(serde_json::from_str::<Condition>(&text).unwrap(), condition);
    }
    let error = "earthquake".parse::<Condition>().unwrap_err().to_string();
    assert!(error.contains("lossy-wan"), "{error}");
}

#[test]
fn names_are_distinct() {
    let names = std::collections::BTreeSet::from(ALL.map(|condition| condition.name));
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn queues_hold_a_round_trip() {
    // Only the shallow switch and the bloated line are meant to differ.
    for condition in ALL {
        for direction in Direction::ALL {
            let link = condition.towards(direction);
            let Some(rate) = link.rate else { continue };
            let round_trip = condition.to_server.delay + condition.to_client.delay;
            let drained = rate.time(link.queue);
            assert!(
                drained >= round_trip.mul_f64(0.99),
                "{condition}: {drained:?}"
            );
        }
    }
}

#[test]
fn the_table_has_a_line_for_each() {
    let table = table();
    assert_eq!(table.lines().count(), ALL.len() + 1);
    assert!(table.contains("lossy-wan"), "{table}");
}
