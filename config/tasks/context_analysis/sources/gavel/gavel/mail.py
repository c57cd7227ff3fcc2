import smtplib
from email.message import EmailMessage


def notify(to, text, subject="Auction news"):
    message = EmailMessage()
    message["To"] = to
    message["From"] = "gavel@auctions.example"
    message["Subject"] = subject
    message["Auto-Submitted"] = "auto-generated"
    message["Precedence"] = "bulk"
    message.set_content(text)
    with smtplib.SMTP("localhost") as server:
        server.send_message(message)
