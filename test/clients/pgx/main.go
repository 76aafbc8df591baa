package main

import (
	"context"
	"errors"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func (s pgxShop) transaction(ctx context.Context, work func(seller) error) error {
	return s.pool.BeginFunc(ctx, func(tx pgx.Tx) error { return work(pgxSeller{tx}) })
}

func (s pgxShop) orderLines(ctx context.Context) (n int, err error) {
	err = s.pool.QueryRow(ctx, "SELECT count(*) FROM shop_order_line").Scan(&n)
	return n, err
}

// The call comes first: from then on the setting is the extension's own.
func (s pgxShop) lockWait(ctx context.Context) (setting string, err error) {
	pool, err := patientPool(ctx)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	var remaining int64
	err = pool.QueryRow(ctx, "SELECT purchase(1, 1), current_setting('purchase.lock_wait')").
		Scan(&remaining, &setting)
	return setting, err
}

func (s pgxShop) reset(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "SELECT shop_reset()")
	return err
}

func (s pgxShop) told(err error) []string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return nil
	}
	return []string{e.Code, e.Message, e.Detail, e.TableName, e.ColumnName}
}

func main() {
	// What it doesn't say is taken from the environment: PGHOST and so on.
	pool, err := pgxpool.Connect(context.Background(), "pool_max_conns=20")
	check(err)
	defer pool.Close()
	contract(pgxShop{pgxSeller{pool}, pool}, "pgx "+packageVersion("golang-github-jackc-pgx-v4-dev"))
}
