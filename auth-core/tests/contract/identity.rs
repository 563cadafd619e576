//! Who logs in where.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use auth_core::{Identity, LoginUrl, Origin};

fn origin(host: &str) -> Origin {
    Origin::parse(&format!("https://{host}.example.com")).unwrap()
}

fn login(path: &str) -> LoginUrl {
    LoginUrl::new(origin("one"), path)
}

#[test]
fn rule_1_an_identity_is_its_provider_its_logins_url_and_its_account() {
    let one = Identity::new("clay", origin("one"), "me@example.com");
    assert_eq!(one.provider(), "clay");
    assert_eq!(*one.origin(), origin("one"));
    assert_eq!(one.account(), "me@example.com");
    let same = Identity::new(String::from("clay"), origin("one"), "me@example.com");
    assert_eq!(one, same);
    let others = [
        Identity::new("quinn", origin("one"), "me@example.com"),
        one.at(origin("two")),
        one.at(login("/tenant-a")),
        one.at(login("/tenant-b")),
        Identity::new("clay", origin("one"), "you@example.com"),
        // The boundary between two parts counts.
        Identity::new("claym", origin("one"), "e@example.com"),
        Identity::new("clay", login("/m"), "e@example.com"),
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
    assert_eq!(all.len(), 8, "what is equal has one hash");
    let keys: HashSet<_> = all.iter().map(Identity::stable_key).collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
}

#[test]
fn rule_1_equal_urls_are_one_login_and_different_ones_are_two() {
    for (normal, same) in [
        ("", &["/", "//", "/.", "/..", "/a/..", "/%2e/"][..]),
        (
            "/tenant-a",
            &[
                "tenant-a",
                "/tenant-a/",
                "/tenant-a//",
                "/./tenant-a/.",
                "/x/../tenant-a",
                "/x/%2E%2e/tenant-a",
                "/../tenant-a",
                "/%74enant%2Da",
            ],
        ),
        ("/a%2Fb", &["/a%2fb"]),
        ("/%C3%A9", &["/%c3%a9", "/é"]),
        ("/a%20b", &["/a b"]),
        ("/a%3Fb", &["/a?b", "/a%3fb"]),
        ("/a//b", &["/a//b/", "/a/x/..//b"]),
        ("/a%25b", &["/a%b"]),
        // What is left of an escape never becomes part of another one.
        ("/%25252F", &["/%2%35%32F"]),
        ("/~a.b_c-d", &["/%7Ea%2eb%5Fc%2Dd"]),
        ("/a;b=c@d:e", &[]),
    ] {
        assert_eq!(login(normal).path(), normal);
        for path in same {
            assert_eq!(login(path), login(normal), "{path}");
            assert_eq!(login(login(path).path()), login(path), "{path} is normal");
        }
    }
    let different = [
        "", "/a", "/A", "/a/b", "/a//b", "/a%2Fb", "/a%252Fb", "/%2Fa", "/ab", "/a;b", "/a%3Bb",
        "/a=b", "/a%3Db", "/...", "/a.", "/a+b", "/a%20b",
    ];
    let logins: HashSet<_> = different.into_iter().map(login).collect();
    assert_eq!(logins.len(), different.len());
}

#[test]
fn rule_1_the_form_of_an_identity_is_the_same_in_every_process_and_version() {
    // Stores hold these bytes. Another form needs another number in front.
    let tenant = LoginUrl::new(
        Origin::parse("https://API.example.com:8443").unwrap(),
        "/Tenant a/%7e/",
    );
    let identity = Identity::new("quinn", tenant, "jos\u{e9}:9,@example.com");
    assert_eq!(
        identity.stable_key().as_bytes(),
        b"1:1,5:quinn,41:https://api.example.com:8443/Tenant%20a/~,20:jos\xc3\xa9:9,@example.com,"
    );
}

#[test]
fn rule_1_the_parts_of_a_stable_key_cant_run_together() {
    let keys = [
        ("a", "b"),
        ("ab", ""),
        ("", "ab"),
        ("a,", "b"),
        ("a", ",b"),
        ("1:a,", "b"),
        ("a,27:https://one.example.com,1:b", ""),
    ];
    let key = |(provider, account)| Identity::new(provider, origin("one"), account).stable_key();
    let all: HashSet<_> = keys.into_iter().map(key).collect();
    assert_eq!(all.len(), keys.len());
}

#[test]
fn rule_17_an_identity_prints_without_its_account() {
    let identity = Identity::new("clay", origin("one"), "me@example.com");
    assert_eq!(
        format!("{identity:?}"),
        "Identity(clay at https://one.example.com)"
    );
    let tenant = identity.at(login("/tenant-a"));
    assert_eq!(
        format!("{tenant:?} {:?}", tenant.login_url()),
        "Identity(clay at https://one.example.com/tenant-a) \
         LoginUrl(https://one.example.com/tenant-a)"
    );
}
