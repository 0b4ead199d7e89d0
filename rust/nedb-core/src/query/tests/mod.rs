//! Whole queries against a database in memory: what they give, and that indexes never change it.

mod fixture;
mod results;
mod same_with_indexes;
mod speed;
