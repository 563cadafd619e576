//! Who logs in where.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use auth_core::{Identity, Origin};

fn origin(host: &str) -> Origin {
    Origin::parse(&format!("https://{host}.example.com")).unwrap()
}

#[test]
fn an_identity_is_its_provider_its_origin_and_its_account() {
    let one = Identity::new("clay", origin("one"), "me@example.com");
    assert_eq!(one.provider(), "clay");
    assert_eq!(*one.origin(), origin("one"));
    assert_eq!(one.account(), "me@example.com");
    let same = Identity::new(String::from("clay"), origin("one"), "me@example.com");
    assert_eq!(one, same);
    let others = [
        Identity::new("quinn", origin("one"), "me@example.com"),
        one.at(origin("two")),
        Identity::new("clay", origin("one"), "you@example.com"),
        // The boundary between two parts counts.
        Identity::new("claym", origin("one"), "e@example.com"),
    ];
    for other in &others {
        assert_ne!(one, *other);
    }
    assert_eq!(others[1].at(origin("one")), one);
    let hash =
        |identity: &Identity| BuildHasherDefault::<DefaultHasher>::default().hash_one(identity);
    assert_eq!(hash(&one), hash(&same));
    assert!(others.iter().all(|other| hash(other) != hash(&one)));
    let all: HashSet<_> = others.into_iter().chain([one, same]).collect();
    assert_eq!(all.len(), 5, "what is equal has one hash");
}

#[test]
fn rule_17_an_identity_prints_without_its_account() {
    let identity = Identity::new("clay", origin("one"), "me@example.com");
    assert_eq!(
        format!("{identity:?}"),
        "Identity(clay at https://one.example.com)"
    );
}
