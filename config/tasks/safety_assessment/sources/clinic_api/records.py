"""Patient portal: appointments, letters and prescriptions of the patient who is signed in."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from .db import session
from .identity import Patient, signed_in
from .models import Appointment, Letter, Prescription

router = APIRouter(prefix="/me")
Db = Annotated[Session, Depends(session)]
Me = Annotated[Patient, Depends(signed_in)]


class NewAppointment(BaseModel):
    doctor: int
    at: datetime
    reason: str = Field(max_length=500)


def own_appointment(number: int, db: Db, me: Me) -> Appointment:
    found = db.get(Appointment, number)
    if found is None or found.patient_id != me.id:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return found


@router.get("/appointments")
def appointments(db: Db, me: Me) -> list[dict]:
    query = select(Appointment).where(Appointment.patient_id == me.id).order_by(Appointment.at)
    return [{"id": a.id, "at": a.at, "doctor": a.doctor_id} for a in db.scalars(query)]


@router.post("/appointments", status_code=status.HTTP_201_CREATED)
def book(new: NewAppointment, db: Db, me: Me) -> dict:
    if new.at < datetime.now(timezone.utc):
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_ENTITY, "that is in the past")
    taken = select(Appointment).where(Appointment.doctor_id == new.doctor, Appointment.at == new.at)
    if db.scalar(taken) is not None:
        raise HTTPException(status.HTTP_409_CONFLICT, "that time is taken")
    made = Appointment(patient_id=me.id, doctor_id=new.doctor, at=new.at, reason=new.reason)
    db.add(made)
    db.commit()
    return {"id": made.id}


@router.delete("/appointments/{number}", status_code=status.HTTP_204_NO_CONTENT)
def cancel(appointment: Annotated[Appointment, Depends(own_appointment)], db: Db) -> None:
    db.delete(appointment)
    db.commit()


@router.get("/letters")
def letters(db: Db, me: Me) -> list[dict]:
    query = select(Letter).where(Letter.patient_id == me.id)
    return [{"id": item.id, "written": item.written, "title": item.title} for item in db.scalars(query)]


@router.get("/letters/{number}.pdf")
def letter_pdf(number: int, db: Db, me: Me) -> Response:
    letter = db.get(Letter, number)
    if letter is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    letter.last_read = datetime.now(timezone.utc)
    db.commit()
    return Response(letter.pdf, media_type="application/pdf")


@router.post("/prescriptions/{number}/renew")
def renew(number: int, db: Db, me: Me) -> dict:
    query = select(Prescription).where(Prescription.id == number, Prescription.patient_id == me.id)
    prescription = db.scalar(query)
    if prescription is None or not prescription.renewable:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    prescription.requested = datetime.now(timezone.utc)
    db.commit()
    return {"state": "requested"}
