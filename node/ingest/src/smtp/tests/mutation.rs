//! Valid sessions, bent a little, by a fixed seed.

use super::properties::FRAGMENTS;
use super::stream::play_stream;
use super::*;

const SESSIONS: [&str; 5] = [
    "EHLO c\r\nMAIL FROM:<a@example.com> SIZE=20\r\nRCPT TO:<metrics@example.com>\r\nDATA\r\nSubject: a\r\n\r\n..\r\n.\r\nQUIT\r\n",
    "EHLO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<acme+s3cret@example.com>\r\nBDAT 6\r\na\nb\rc.BDAT 2 LAST\r\n\r\nNOOP\r\n",
    "LHLO c\r\nMAIL FROM:<a@example.com> SMTPUTF8\r\nRCPT TO:<metrics@x>\r\nRCPT TO:<acme+s3cret@x>\r\nDATA\r\na,b\r\n1,2\r\n.\r\nQUIT\r\n",
    "EHLO c\r\nAUTH PLAIN AG4AcA==\r\nMAIL FROM:<a@example.com> AUTH=<>\r\nRCPT TO:<metrics@x>\r\nDATA\r\n.\r\nRSET\r\n",
    "EHLO c\r\nAUTH LOGIN\r\nbg==\r\ncA==\r\nMAIL FROM:<>\r\nRCPT TO:<metrics@x>\r\nBDAT 3 LAST\r\nabcHELP\r\n",
];

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    fn mutate(&mut self, stream: &mut Vec<u8>) {
        let from = self.below(stream.len());
        let to = (from + self.below(12)).min(stream.len());
        match self.below(6) {
            0 => stream.insert(from, b"\r\n.\0 <>@+=\"%"[self.below(12)]),
            1 if from < stream.len() => stream[from] ^= 1 << self.below(8),
            2 => drop(stream.drain(from..to)),
            3 => {
                let part = stream[from..to].to_vec();
                stream.splice(from..from, part);
            }
            4 => {
                let fragment = FRAGMENTS[self.below(FRAGMENTS.len())];
                stream.splice(from..to, fragment.bytes());
            }
            _ => stream.truncate(stream.len() - self.below(4).min(stream.len())),
        }
    }
}

#[test]
fn bent_sessions_are_answered_line_by_line_and_store_only_what_is_allowed() {
    let mut random = Random(0x5eed);
    let mut stored = 0;
    for round in 0..6000 {
        let index = random.below(SESSIONS.len());
        let mut stream = SESSIONS[index].as_bytes().to_vec();
        (0..=random.below(5)).for_each(|_| random.mutate(&mut stream));
        let protocol = if index == 2 { Protocol::Lmtp } else { Protocol::Smtp };
        let tls = if index > 2 { TlsMode::Implicit } else { TlsMode::StartTls };
        let policy = Policy { protocol, tls, message_bytes_max: 64, ..policy() };
        let peer = Peer { is_trusted: random.below(2) == 0, sends_bare_newlines: random.below(4) == 0 };
        let whole = play_stream(&policy, peer, &[&stream], &[], 0);
        let cuts = [1 + random.below(20), 1 + random.below(5)];
        let cut = play_stream(&policy, peer, &[&stream], &cuts, random.below(3));
        assert_eq!(cut, whole, "round {round}: {}", stream.escape_ascii());
        for mail in &whole.mails {
            assert!(mail.bytes.len() <= 64 && !mail.recipients.is_empty());
            let may_send = mail.rights != Rights::None;
            let is_allowed = |to: &Recipient| to.tenant == "acme" && (to.token_verified || may_send);
            assert!(mail.recipients.iter().all(is_allowed), "round {round}: {mail:?}");
        }
        stored += whole.mails.len();
    }
    assert!((500..6000).contains(&stored), "bent a little, not broken: {stored} mails were stored");
}
