//! Each recipe, and what is checked of it. What is left out, a dialect has not.

use std::time::Duration;

use auth_core::LoginErrorKind;

use crate::drive::{Call, Program};
use crate::world::Mood;

macro_rules! logins {
    ($($name:ident = $dialect:path: $($check:ident)*;)*) => {$(
        mod $name {
            $(
                #[tokio::test]
                async fn $check() {
                    crate::checks::$check(&$dialect).await;
                }
            )*
        }
    )*};
}

logins! {
    clay = crate::clay::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login no_logout limit quota
        probe;
    quinn = crate::quinn::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota probe;
    cloudio = crate::cloudio::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login no_logout limit quota;
    v1_login = crate::v1_login::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login no_logout limit quota;
    unifi = crate::unifi::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota
        locked starting repair;
    unifi_without_header = crate::unifi::WITHOUT_HEADER:
        session repair;
    synology = crate::synology::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota locked;
    pi_hole = crate::pi_hole::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota
        locked seats probe;
    proxmox = crate::proxmox::DIALECT:
        session beside wrong_password dead_session crowd renewal no_logout limit quota locked;
    redfish = crate::redfish::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota
        locked seats;
    zabbix = crate::zabbix::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota;
    ubus = crate::ubus::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota;
    vcenter = crate::vcenter::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota
        starting probe;
    sap = crate::sap::DIALECT:
        session beside wrong_password dead_session_heals dead_password renewal_by_login logout
        limit quota repair;
    jenkins = crate::jenkins::DIALECT:
        session beside wrong_password dead_session_heals dead_password renewal_by_login no_logout
        limit quota repair;
    metabase = crate::metabase::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota
        locked probe;
    superset = crate::superset::DIALECT:
        session beside wrong_password dead_session crowd renewal access_end no_logout limit quota
        repair;
    home_assistant = crate::home_assistant::DIALECT:
        session beside wrong_password dead_session crowd renewal access_end logout limit quota
        locked;
    pocketbase = crate::pocketbase::DIALECT:
        session beside wrong_password dead_session_is_a_guest renewal no_logout limit quota
        locked probe;
    odoo = crate::odoo::DIALECT:
        session beside wrong_password dead_session crowd renewal_by_login logout limit quota locked;
    oauth_client_credentials = crate::oauth::CLIENT_CREDENTIALS:
        session beside wrong_password dead_session crowd renewal_by_login no_logout limit quota;
    oauth_password = crate::oauth::LASTING:
        session beside wrong_password dead_session crowd renewal access_end logout limit quota;
    oauth_password_rotating = crate::oauth::ROTATING:
        session beside wrong_password dead_session crowd renewal access_end logout limit quota;
}

#[tokio::test]
async fn unifi_takes_the_csrf_value_that_any_answer_brings() {
    let program = Program::start(&crate::unifi::DIALECT).await;
    assert_eq!(program.read().await.unwrap(), 200);
    program.world().expire_csrf();
    assert_eq!(program.read().await.unwrap(), 200);
    assert_eq!(program.write().await.unwrap(), 200);
    assert_eq!(program.world().counts().stale, 0);
}

/// Neither is the end of a session, though both are told as it is.
#[tokio::test]
async fn what_is_not_permitted_or_is_no_good_parameter_costs_no_login() {
    let program = Program::start(&crate::synology::DIALECT).await;
    let system = "/webapi/entry.cgi?api=SYNO.Core.System&version=1&method=info";
    let hosts = r#"{"jsonrpc": "2.0", "method": "host.get", "params": {}, "id": 1}"#;
    for _ in 0..3 {
        program.send(&Call::get(system)).await.unwrap();
    }
    assert_eq!(program.world().counts().logins, 1);
    let program = Program::start(&crate::zabbix::DIALECT).await;
    for _ in 0..3 {
        let call = Call::post("/api_jsonrpc.php", hosts);
        program.send(&call).await.unwrap();
    }
    assert_eq!(program.world().counts().logins, 1);
}

#[tokio::test]
async fn odoo_rotates_its_cookie() {
    let program = Program::start(&crate::odoo::DIALECT).await;
    for _ in 0..3 {
        assert_eq!(program.write().await.unwrap(), 200);
        assert_eq!(program.read().await.unwrap(), 200);
    }
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.rejected), (1, 0));
}

#[tokio::test]
async fn pocketbase_hands_on_what_a_guest_sees_and_is_renewed_by_the_clock() {
    let program = Program::start(&crate::pocketbase::DIALECT).await;
    assert_eq!(program.read().await.unwrap(), 200);
    let life = program.credentials.status().expires_in.unwrap();
    assert!(life.as_secs().abs_diff(7 * 86_400) < 60, "{life:?}");
    program
        .clock()
        .advance(life.saturating_sub(Duration::from_secs(1)));
    assert_eq!(program.read().await.unwrap(), 200);
    // The renewal that this read has begun.
    program.credentials.renew().await.unwrap();
    assert_eq!(program.read().await.unwrap(), 200);
    let counts = program.world().counts();
    assert_eq!(
        (counts.logins, counts.refreshes, counts.rejected),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn synology_sends_a_code_where_it_has_the_secret_for_it() {
    let program = Program::start(&crate::synology::WITH_CODES).await;
    program.world().answer_logins_as(Mood::Locked);
    assert_eq!(program.read().await.unwrap(), 200);
}

/// A server takes each code once, and a second login in the same 30 s has the same one.
#[tokio::test]
async fn rule_12_synology_gets_the_next_code_where_another_login_has_used_the_last_one() {
    let program = Program::start(&crate::synology::WITH_CODES).await;
    program.world().say(&[404]);
    let (kind, wait) = program.login_failure().await;
    assert_eq!(kind, LoginErrorKind::Malformed);
    assert_eq!(wait, None);
    let before = program.held_back().await;
    assert!(before >= Duration::from_secs(30), "{before:?}");
    program.clock().advance(before);
    assert_eq!(program.read().await.unwrap(), 200);
}

#[tokio::test]
async fn home_assistant_is_left_alone_by_an_address_that_it_has_banned() {
    let program = Program::start(&crate::home_assistant::DIALECT).await;
    program.world().answer_logins_as(Mood::Banned);
    assert_eq!(program.login_failure().await.0, LoginErrorKind::Locked);
}

/// The codes of one kind each: what the guide says of an account, and of a session.
#[tokio::test]
async fn synology_has_a_code_for_each() {
    for code in [401, 402, 403, 406, 408, 409, 410] {
        let program = Program::start(&crate::synology::DIALECT).await;
        program.world().say(&[code]);
        let (kind, _) = program.login_failure().await;
        assert_eq!(kind, LoginErrorKind::Locked, "{code}");
    }
    for code in [106, 107, 119] {
        let program = Program::start(&crate::synology::DIALECT).await;
        assert_eq!(program.read().await.unwrap(), 200);
        program.world().say(&[code]);
        assert_eq!(program.read().await.unwrap(), 200);
        assert_eq!(program.world().counts().logins, 2, "{code}");
        program.world().say(&[code]);
        program.credentials.close().await.unwrap();
    }
}

/// An error of its database is no second factor.
#[tokio::test]
async fn odoo_fails_as_it_says() {
    let program = Program::start(&crate::odoo::DIALECT).await;
    program.world().answer_logins_as(Mood::Starting);
    assert_eq!(program.login_failure().await.0, LoginErrorKind::Malformed);
}
