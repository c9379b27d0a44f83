"""Sends mails with an attachment by smtplib, and one that is refused.

python3 smtplib_client.py PORT COUNT; prints the code of the refusal.
"""

import smtplib
import sys
from email.message import EmailMessage

with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as smtp:
    for number in range(int(sys.argv[2])):
        mail = EmailMessage()
        mail["Subject"] = "Status der Anlage – täglich"
        mail["From"] = "plant@example.com"
        mail["To"] = "telemetry@bridge.example.com"
        mail["Message-ID"] = f"<{number}@example.com>"
        mail.set_content(f"Bericht für heute\n.\n..\nnumber={number}\n")
        mail.add_attachment(f'{{"host": "plc-{number}", "metrics": {{"pressure": {number}}}}}'.encode(),
                            maintype="application", subtype="json", filename="status.json")
        smtp.send_message(mail)
    try:
        smtp.sendmail("plant@example.com", ["elsewhere@example.org"], "Subject: x\r\n\r\nx")
        sys.exit("it relays")
    except smtplib.SMTPRecipientsRefused as refused:
        print(refused.recipients["elsewhere@example.org"][0])
