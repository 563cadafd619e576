//! Compiles the examples of the README as doctests. The other examples are in the folder above.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
