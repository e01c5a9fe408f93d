use std::net::Ipv4Addr;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Parsed, UsageError, UsageProblem,
    arguments::{self, ArgumentsError},
};

fn read<T: DeserializeOwned>(text: &str) -> T {
    arguments::read(text).unwrap_or_else(|(error, _)| panic!("{text:?}: {error}"))
}

/// Returns what is told to whoever wrote `/cmd` with these arguments.
fn told<T: DeserializeOwned>(text: &str) -> String {
    match arguments::read::<T>(text) {
        Err((ArgumentsError::Usage(problem), arguments)) => UsageError {
            command: "cmd".to_owned(),
            problem,
            arguments,
        }
        .to_string(),
        Err((error, _)) => panic!("{text:?}: {error}"),
        Ok(_) => panic!("{text:?} was read"),
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Reminder {
    minutes: u8,
    text: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Change {
    Show,
    Add(String),
    Move { from: u8, to: u8 },
    Pair(u8, Option<u8>),
}

fn reminder(minutes: u8, text: &str) -> Reminder {
    Reminder {
        minutes,
        text: text.to_owned(),
    }
}

#[test]
fn members_are_read_in_order_and_the_last_text_takes_the_rest() {
    assert_eq!(read::<Reminder>("5 milk"), reminder(5, "milk"));
    assert_eq!(
        read::<Reminder>("5 buy  some\nmilk"),
        reminder(5, "buy  some\nmilk")
    );
    assert_eq!(read::<Reminder>("5 \"buy milk\""), reminder(5, "buy milk"));
    assert_eq!(
        read::<Reminder>("5 \"buy milk\" now"),
        reminder(5, "\"buy milk\" now")
    );
}

#[test]
fn texts_in_front_take_one_word() {
    let (name, text): (String, String) = read("“Ann Lee” likes tea");

    assert_eq!((&*name, &*text), ("Ann Lee", "likes tea"));
}

#[test]
fn a_text_that_is_last_in_something_that_is_not_takes_one_word() {
    let ((first, text), last): ((u8, String), String) = read("1 two three four");

    assert_eq!((first, &*text, &*last), (1, "two", "three four"));
    assert_eq!(read::<(u8, (u8, String))>("1 2 three four").1.1, "three four");
}

#[test]
fn a_text_alone_is_everything_as_it_was_written() {
    assert_eq!(read::<String>("a \"b  c\""), "a \"b  c\"");
    assert_eq!(read::<String>(""), "");
}

#[test]
fn simple_values_take_one_word() {
    assert_eq!(read::<i64>("-9000000000"), -9_000_000_000);
    assert!((read::<f64>("2.5") - 2.5).abs() < f64::EPSILON);
    assert_eq!(read::<char>("é"), 'é');
    assert_eq!(
        ["yes", "ON", "true", "1", "no", "Off", "false", "0"].map(read::<bool>),
        [true, true, true, true, false, false, false, false]
    );
    assert_eq!(read::<Parsed<Ipv4Addr>>("127.0.0.1"), Parsed(Ipv4Addr::LOCALHOST));
}

#[test]
fn what_is_optional_may_be_left_out() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Page {
        name: String,
        number: Option<u8>,
        #[serde(default)]
        reverse: bool,
    }
    let page = |number, reverse| Page {
        name: "a".to_owned(),
        number,
        reverse,
    };

    assert_eq!(read::<Page>("a"), page(None, false));
    assert_eq!(read::<Page>("a 2"), page(Some(2), false));
    assert_eq!(read::<Page>("a 2 yes"), page(Some(2), true));
    assert_eq!(read::<(u8, Option<u8>)>("1"), (1, None));
    assert_eq!(read::<Option<Reminder>>(""), None);
    assert_eq!(read::<Option<Reminder>>("1 a"), Some(reminder(1, "a")));
}

#[test]
fn lists_take_all_words() {
    assert_eq!(read::<Vec<String>>("a \"b c\" d"), ["a", "b c", "d"]);
    assert_eq!(read::<(char, Vec<u8>)>("x 1 2"), ('x', vec![1, 2]));
    assert!(read::<Vec<u8>>("").is_empty());
}

#[test]
fn variants_are_chosen_by_name_in_any_case() {
    assert_eq!(read::<Change>("SHOW"), Change::Show);
    assert_eq!(
        read::<Change>("add two words"),
        Change::Add("two words".to_owned())
    );
    assert_eq!(read::<Change>("move 1 2"), Change::Move { from: 1, to: 2 });
    assert_eq!(read::<Change>("pair 1"), Change::Pair(1, None));
}

#[test]
fn nothing_is_a_value_only_without_arguments() {
    read::<()>("");

    assert_eq!(told::<()>("x"), "\"x\" is too much\nusage: /cmd");
}

#[test]
fn a_wrong_use_names_the_argument_and_what_it_should_be() {
    for (text, expected) in [
        ("", "minutes is missing"),
        ("5", "text is missing"),
        (
            "soon milk",
            "minutes: \"soon\" is not a whole number from 0 to 255",
        ),
        ("256 milk", "minutes: \"256\" is not a whole number from 0 to 255"),
    ] {
        assert_eq!(
            told::<Reminder>(text),
            format!("{expected}\nusage: /cmd <minutes> <text>")
        );
    }
    assert_eq!(
        told::<Change>("remove"),
        "\"remove\" is not one of show, add, move, pair\nusage: /cmd show|add|move|pair"
    );
    assert_eq!(told::<(u8, u8)>("1 2 3 4"), "\"3 4\" is too much\nusage: /cmd");
    assert_eq!(told::<u8>(""), "an argument is missing\nusage: /cmd");
    assert_eq!(
        told::<bool>("perhaps"),
        "\"perhaps\" is not yes or no\nusage: /cmd"
    );
    assert_eq!(told::<i64>("x"), "\"x\" is not a whole number\nusage: /cmd");
    assert_eq!(
        told::<u64>("-1"),
        "\"-1\" is not a whole number from 0 on\nusage: /cmd"
    );
}

#[test]
fn a_type_that_refuses_a_value_says_why_in_its_own_words() {
    #[derive(Debug, Deserialize)]
    struct Ping {
        #[allow(dead_code, reason = "never read")]
        address: Parsed<Ipv4Addr>,
    }

    assert_eq!(
        told::<Ping>("home"),
        "address: \"home\" does not fit: invalid IPv4 address syntax\nusage: /cmd <address>"
    );
    assert_eq!(
        told::<Parsed<Ipv4Addr>>("home"),
        "\"home\" does not fit: invalid IPv4 address syntax\nusage: /cmd"
    );
}

#[test]
fn long_nonsense_is_quoted_in_part() {
    let text = "é".repeat(5000);

    let answer = told::<u8>(&text);

    assert_eq!(answer.matches('é').count(), 64);
    assert!(answer.contains('…'));
}

#[test]
fn types_that_no_text_can_be_are_the_fault_of_the_bot() {
    let (error, _) = arguments::read::<std::collections::HashMap<String, String>>("a b").unwrap_err();

    assert!(matches!(error, ArgumentsError::Unsupported(_)), "{error}");
}

#[test]
fn any_text_is_read_or_refused() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let pieces = [
        "1", "255", "-1", "a", "\"", "“", "”", "\\", " ", "\n", "🎉", "add", "move", "yes", "\u{0}",
    ];
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..5000 {
        let text: String = (0..random.usize(..10))
            .filter_map(|_| random.choice(pieces))
            .collect();
        let results = [
            arguments::read::<Reminder>(&text).map(drop),
            arguments::read::<Change>(&text).map(drop),
            arguments::read::<Vec<Option<bool>>>(&text).map(drop),
            arguments::read::<(char, Vec<(u8, String)>)>(&text).map(drop),
        ];

        for result in results {
            match result {
                Ok(()) => taken += 1,
                Err((ArgumentsError::Usage(problem), _)) => {
                    assert!(!problem.to_string().is_empty());
                    refused += 1;
                    if let UsageProblem::TooMany { extra } = problem {
                        assert!(text.contains(&extra), "{text:?}");
                    }
                }
                Err((error, _)) => panic!("{text:?}: {error}"),
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}
