//! From accept to a clean stream; knows no mail.
