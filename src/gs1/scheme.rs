//! The coding schemes of tags, told apart by an EPC's first byte.

use super::Epc;

macro_rules! schemes {
    ($($header:literal $name:ident $text:literal,)*) => {
        /// A coding scheme (TDS 2.0, table 14-1). Only those that name a GTIN are decoded; tags of
        /// the others stay raw EPCs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scheme {
            $($name,)*
        }

        impl Scheme {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The scheme of a header; `None` for headers that are reserved or not programmed.
            pub fn from_header(header: u8) -> Option<Self> {
                match header {
                    $($header => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// An EPC's first byte.
            pub fn header(self) -> u8 {
                match self {
                    $(Self::$name => $header,)*
                }
            }

            /// Its name in the standard.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

schemes! {
    0x2C Gdti96 "GDTI-96",
    0x2D Gsrn96 "GSRN-96",
    0x2E Gsrnp96 "GSRNP-96",
    0x2F UsDod96 "USDOD-96",
    0x30 Sgtin96 "SGTIN-96",
    0x31 Sscc96 "SSCC-96",
    0x32 Sgln96 "SGLN-96",
    0x33 Grai96 "GRAI-96",
    0x34 Giai96 "GIAI-96",
    0x35 Gid96 "GID-96",
    0x36 Sgtin198 "SGTIN-198",
    0x37 Grai170 "GRAI-170",
    0x38 Giai202 "GIAI-202",
    0x39 Sgln195 "SGLN-195",
    0x3A Gdti113 "GDTI-113",
    0x3B AdiVar "ADI-var",
    0x3C Cpi96 "CPI-96",
    0x3D CpiVar "CPI-var",
    0x3E Gdti174 "GDTI-174",
    0x3F Sgcn96 "SGCN-96",
    0x40 Itip110 "ITIP-110",
    0x41 Itip212 "ITIP-212",
    0xF0 CpiPlus "CPI+",
    0xF1 GraiPlus "GRAI+",
    0xF2 SglnPlus "SGLN+",
    0xF3 ItipPlus "ITIP+",
    0xF4 GsrnPlus "GSRN+",
    0xF5 GsrnpPlus "GSRNP+",
    0xF6 GdtiPlus "GDTI+",
    0xF7 SgtinPlus "SGTIN+",
    0xF8 SgcnPlus "SGCN+",
    0xF9 SsccPlus "SSCC+",
    0xFA GiaiPlus "GIAI+",
    0xFB DsgtinPlus "DSGTIN+",
}

impl Epc {
    /// What its header says that it is.
    pub fn scheme(&self) -> Option<Scheme> {
        Scheme::from_header(*self.as_bytes().first()?)
    }
}
