package main

import (
	"context"
	"errors"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

// querier is what the pool and a transaction have in common.
type querier interface {
	Query(ctx context.Context, sql string, args ...interface{}) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...interface{}) pgx.Row
}

// pgxSeller sells with pgx. pgx sends each parameter as the type that the
// server wants it to be: the casts say so, as otherwise that would be text.
type pgxSeller struct{ db querier }

// sell returns what remains.
func (s pgxSeller) sell(ctx context.Context, productID, quantity int64) (remaining int64, err error) {
	err = s.db.QueryRow(ctx, "SELECT purchase($1::bigint, $2)", productID, quantity).
		Scan(&remaining)
	return remaining, translate(err)
}

func (s pgxSeller) sellSeat(ctx context.Context, seatID string, quantity int64) (remaining int64, err error) {
	err = s.db.QueryRow(ctx, "SELECT purchase($1::uuid, $2, 'shop_seat')", seatID, quantity).
		Scan(&remaining)
	return remaining, translate(err)
}

// sellCart sells all lines or none.
func (s pgxSeller) sellCart(ctx context.Context, lines []line) (sold []soldLine, err error) {
	var ids, quantities []int64
	for _, l := range lines {
		ids = append(ids, l.ProductID)
		quantities = append(quantities, l.Quantity)
	}
	rows, err := s.db.Query(ctx, "SELECT * FROM purchase_cart($1::bigint[], $2)", ids, quantities)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var l soldLine
		if err = rows.Scan(&l.ProductID, &l.Quantity, &l.Remaining); err != nil {
			return nil, err
		}
		sold = append(sold, l)
	}
	return sold, translate(rows.Err())
}

func (s pgxSeller) trySell(ctx context.Context, productID, quantity int64) (o outcome, err error) {
	err = s.db.QueryRow(ctx, "SELECT * FROM purchase_try($1::bigint, $2)", productID, quantity).
		Scan(&o.Outcome, &o.Remaining)
	return o, err
}

func translate(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return saleError(pgErr.Code, err)
	}
	return err
}

// patientPool has connections whose sales wait for a busy product.
func patientPool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig("pool_max_conns=20")
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["purchase.lock_wait"] = "2s"
	return pgxpool.ConnectConfig(ctx, config)
}

type pgxShop struct {
	pgxSeller
	pool *pgxpool.Pool
}

// order has the sale, the order line and the payment, or nothing.
func (s pgxShop) order(ctx context.Context, productID, quantity int64, pay func() error) error {
	// Other statements and COMMIT can fail, too.
	return translate(s.pool.BeginFunc(ctx, func(tx pgx.Tx) error {
		if _, err := (pgxSeller{tx}).sell(ctx, productID, quantity); err != nil {
			return err
		}
		_, err := tx.Exec(ctx,
			"INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)",
			productID, quantity)
		if err != nil {
			return err
		}
		return pay()
	}))
}
