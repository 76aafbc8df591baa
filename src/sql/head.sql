-- Put together by make from the parts in src/sql: change those.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION purchase" to load this file. \quit
