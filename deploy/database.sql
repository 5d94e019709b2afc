-- Beside the database of dxatrend itself, one for the Prefect server. Nothing is lost with it.
CREATE DATABASE prefect;
