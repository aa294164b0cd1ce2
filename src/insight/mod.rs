//! What the shop learns beside its receipts: stock. Knows no events and no baskets; what it finds
//! the engine publishes. Pure.

pub mod stock;
