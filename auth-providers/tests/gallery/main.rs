//! Logins of many dialects, each against a server that behaves as the dialect's documents say.
#![cfg(all(feature = "recipes", feature = "reqwest"))]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod asked;
mod checks;
mod clay;
mod cloudio;
mod drive;
mod home_assistant;
mod jenkins;
mod logins;
mod metabase;
mod oauth;
mod odoo;
mod pi_hole;
mod pocketbase;
mod proxmox;
mod quinn;
mod redfish;
mod sap;
mod servers;
mod superset;
mod synology;
mod ubus;
mod unifi;
mod v1_login;
mod vcenter;
mod world;
mod zabbix;
