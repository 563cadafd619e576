//! The examples are beside this file's folder; this crate compiles the README's.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
