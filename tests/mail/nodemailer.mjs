// Sends mails with a CSV attachment by nodemailer, over STARTTLS and with a password.
// node nodemailer.mjs PORT CA-FILE NAME PASSWORD COUNT; the packages lie below $STARLING_TEST_NPM.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const nodemailer = createRequire(`${process.env.STARLING_TEST_NPM}/`)("nodemailer");
const [port, ca, user, pass, count] = process.argv.slice(2);

const transport = nodemailer.createTransport({
    host: "127.0.0.1",
    port: Number(port),
    requireTLS: true,
    // The certificate is checked against this name, whatever the address.
    tls: { ca: readFileSync(ca), servername: "bridge.example.com" },
    auth: { user, pass },
    pool: true,
    maxConnections: 3,
});

const send = (number) =>
    transport.sendMail({
        from: "Kühlung <crac-3@example.com>",
        to: "telemetry@bridge.example.com",
        subject: `Messwerte – ${number}`,
        text: "Im Anhang.\n.\n",
        attachments: [
            {
                filename: `Messwerte ${number}.csv`,
                content: `timestamp,inlet_c,number\n1700000000,21.5,${2 * number}\n1700000060,22,${2 * number + 1}\n`,
            },
        ],
    });

try {
    const sent = await Promise.all(Array.from({ length: Number(count) }, (_, number) => send(number)));
    sent.forEach((mail) => console.log(mail.response));
} catch (error) {
    console.log(error.response ?? `${error}`);
} finally {
    transport.close();
}
