//! Gates and doors: what turnstiles, code readers and terminals outside the box tell of who comes
//! and goes. A token is all that is known of anybody here.
