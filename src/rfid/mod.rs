//! RFID readers: supervisors that connect, configure, listen, and begin again for ever. What they
//! read goes to the daemon as tag reads; the store is not known here.

pub mod llrp;
pub mod thingmagic;
pub mod uhfreader18;
