//! What is in the sample household?

use time::Duration;

use super::TAG;
use crate::{
    datetime::{Day, Timestamp},
    records::{
        draft::Draft,
        fields::{Field, Money},
        kind::{Kind, suggestion},
    },
};

/// A record of the sample. Its days are counted from the day on which it is loaded.
pub(super) struct Sample {
    kind: Kind,
    title: &'static str,
    /// The places that it is in, from the outermost on.
    pub(super) place: &'static [&'static str],
    tags: &'static [&'static str],
    due_in: Option<i64>,
    fields: &'static [(&'static str, Says)],
    notes: &'static str,
}

/// What a field says.
enum Says {
    Text(&'static str),
    /// A day, so many days from now.
    Day(i64),
    /// An amount of money, in cents.
    Euros(i64),
}

use Says::{Day as In, Euros, Text};

impl Sample {
    /// Returns the record, as it is to be added now in this place.
    pub(super) fn draft(&self, now: Timestamp, place_id: Option<i64>) -> Draft {
        let tags = self.tags.iter().chain([&TAG]).map(|tag| (*tag).to_owned()).collect();
        Draft {
            title: Some(self.title.to_owned()),
            kind: Some(self.kind),
            place_id: Some(place_id),
            notes: Some(self.notes.to_owned()),
            due_date: Some(self.due_in.and_then(|days| day(now, days))),
            fields: Some(self.fields.iter().map(|(key, says)| field(key, says, now)).collect()),
            tags: Some(tags),
            ..Draft::default()
        }
    }
}

fn field(key: &str, says: &Says, now: Timestamp) -> Field {
    let label = suggestion(key).map_or(key, |suggestion| suggestion.label).to_owned();
    let (value, money) = match says {
        Text(text) => ((*text).to_owned(), None),
        In(days) => (day(now, *days).map(|day| day.to_string()).unwrap_or_default(), None),
        Euros(amount) => (String::new(), Some(Money { amount: *amount, currency: "EUR".to_owned() })),
    };
    Field { key: Some(key.to_owned()), label, value, money }
}

/// The day so many days from now.
fn day(now: Timestamp, days: i64) -> Option<Day> {
    let moment = now.after(Duration::days(days)).to_string();
    moment.get(..10).and_then(|day| day.parse().ok())
}

const HOUSE: &str = "House";

pub(super) const SAMPLE: &[Sample] = &[
    Sample {
        kind: Kind::Note,
        title: "Welcome to the sample household",
        place: &[],
        tags: &[],
        due_in: None,
        fields: &[],
        notes: "Look around: open a record, search for *filter* or *Vega*, narrow the list by a kind, a place or a tag.\n\n\
                Each of these records has the tag **Sample**. The page `/sample` moves all of them to the trash. To keep one, take the \
                tag from it.",
    },
    Sample {
        kind: Kind::Thing,
        title: "Washing machine",
        place: &[HOUSE, "Cellar", "Laundry room"],
        tags: &["Appliance"],
        due_in: Some(24),
        fields: &[
            ("manufacturer", Text("Norda")),
            ("model", Text("W 740 Eco")),
            ("serial_number", Text("ND-7400-118342")),
            ("bought_from", Text("Elektro Berger")),
            ("bought_on", In(-410)),
            ("price", Euros(64_900)),
            ("warranty_until", In(320)),
        ],
        notes: "Clean the filter every three months:\n\n1. Switch it off and close the tap.\n2. Open the flap at the bottom right; put a \
                towel under it.\n3. Turn the filter to the left and rinse it.",
    },
    Sample {
        kind: Kind::Thing,
        title: "Laptop",
        place: &[HOUSE, "Study"],
        tags: &["Electronics"],
        due_in: None,
        fields: &[
            ("manufacturer", Text("Vega")),
            ("model", Text("Slate 14")),
            ("serial_number", Text("VS14-20993-QX")),
            ("bought_on", In(-95)),
            ("price", Euros(119_900)),
            ("warranty_until", In(635)),
        ],
        notes: "The charger in the kitchen drawer is its second one.",
    },
    Sample {
        kind: Kind::Thing,
        title: "Bicycle",
        place: &["Garage"],
        tags: &["Outdoors"],
        due_in: Some(60),
        fields: &[
            ("manufacturer", Text("Tessin")),
            ("serial_number", Text("TS 5571 K 0418")),
            ("bought_on", In(-800)),
            ("price", Euros(89_000)),
        ],
        notes: "The frame number is under the bottom bracket. Service in spring.",
    },
    Sample {
        kind: Kind::Thing,
        title: "Smoke alarms",
        place: &[HOUSE, "Hall"],
        tags: &["Safety"],
        due_in: Some(9),
        fields: &[("manufacturer", Text("Clarion")), ("quantity", Text("4")), ("bought_on", In(-1500))],
        notes: "Press the button of each once a year. New batteries: 9 V, in the kitchen drawer. Replace all after ten years.",
    },
    Sample {
        kind: Kind::Contract,
        title: "Home insurance",
        place: &[],
        tags: &["Insurance"],
        due_in: Some(75),
        fields: &[
            ("provider", Text("Aurora Mutual")),
            ("contract_number", Text("HH-20-448817")),
            ("starts_on", In(-1020)),
            ("notice_period", Text("3 months to the end of the year")),
            ("cost", Euros(18_240)),
            ("phone", Text("+44 20 7946 0991")),
        ],
        notes: "Covers water, fire, storm and theft, bicycles too if they are locked. **Due** is the last day to give notice.",
    },
    Sample {
        kind: Kind::Contract,
        title: "Internet",
        place: &[],
        tags: &["Utilities"],
        due_in: Some(140),
        fields: &[
            ("provider", Text("Fernlicht Net")),
            ("customer_number", Text("300 114 926")),
            ("ends_on", In(170)),
            ("notice_period", Text("1 month")),
            ("cost", Euros(3_999)),
        ],
        notes: "The router stands in the hall cupboard. If there is no light on *DSL*, pull its plug for ten seconds.",
    },
    Sample {
        kind: Kind::Contract,
        title: "Electricity",
        place: &[],
        tags: &["Utilities"],
        due_in: None,
        fields: &[("provider", Text("Stadtwerke")), ("contract_number", Text("E-1192-77")), ("cost", Euros(7_400))],
        notes: "Meter reading each December. The meter is in the cellar, behind the door on the left.",
    },
    Sample {
        kind: Kind::IdentityDocument,
        title: "Passport of Alex",
        place: &[HOUSE, "Study", "Safe"],
        tags: &["Travel"],
        due_in: Some(200),
        fields: &[
            ("holder", Text("Alex Sample")),
            ("document_number", Text("X0000000")),
            ("issued_by", Text("City office")),
            ("issued_on", In(-3260)),
            ("expires_on", In(390)),
        ],
        notes: "Many countries want a passport to be valid for six months more: renew it by the due date.",
    },
    Sample {
        kind: Kind::Vehicle,
        title: "Family car",
        place: &["Garage"],
        tags: &["Car"],
        due_in: Some(45),
        fields: &[
            ("manufacturer", Text("Merian")),
            ("model", Text("Combi 1.5")),
            ("licence_plate", Text("AB 123 CD")),
            ("vehicle_number", Text("WZZ00000000000000")),
            ("first_registered_on", In(-2240)),
            ("insurance", Text("Aurora Mutual, K-77 120 334")),
        ],
        notes: "| what | which |\n|---|---|\n| oil | 5W-30, 4.3 l |\n| tyres | 205/55 R16 |\n| pressure | 2.3 bar |\n\nDue: the next inspection.",
    },
    Sample {
        kind: Kind::Home,
        title: "Our home",
        place: &[HOUSE],
        tags: &[],
        due_in: None,
        fields: &[
            ("address", Text("12 Linden Street")),
            ("landlord", Text("Mrs Weber, +44 20 7946 0512")),
            ("moved_in_on", In(-1900)),
            ("rent", Euros(118_000)),
            ("meter_number", Text("1 EMH 004 582 711")),
        ],
        notes: "Paint: *Chalk white 02* in all rooms, *Moss 14* in the study. The main tap is in the cellar.",
    },
    Sample {
        kind: Kind::Note,
        title: "How to bleed the radiators",
        place: &[HOUSE, "Cellar"],
        tags: &["How to"],
        due_in: None,
        fields: &[],
        notes: "1. Switch the pump off and wait half an hour.\n2. Hold a cup under the valve and open it with the square key (on the hook \
                beside the boiler).\n3. Close it when water comes.\n4. Look at the pressure: **1.5 bar**.",
    },
    Sample {
        kind: Kind::Note,
        title: "Before a holiday",
        place: &[],
        tags: &["Travel"],
        due_in: None,
        fields: &[],
        notes: "- close the main tap\n- empty the bin\n- key to the neighbours\n- passports, insurance card, chargers",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_sample_shows_each_kind_and_says_nothing_that_a_person_could_not() {
        let mut kinds = HashSet::new();
        for sample in SAMPLE {
            kinds.insert(sample.kind.name());
            let draft = sample.draft(Timestamp::now(), None);
            assert!(draft.clone().checked().is_ok(), "{:?}", draft.checked());
            assert_eq!(draft.due_date.flatten().is_some(), sample.due_in.is_some());
            for (key, _) in sample.fields {
                let keys = sample.kind.suggestions().iter().map(|suggestion| suggestion.key);
                assert!(keys.clone().any(|known| known == *key), "{}: {key}", sample.title);
            }
        }
        assert_eq!(kinds.len(), Kind::ALL.len());
    }
}
