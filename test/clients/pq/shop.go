package main

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"
)

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...interface{}) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...interface{}) *sql.Row
}

// pqSeller sells with database/sql and lib/pq.
type pqSeller struct{ db querier }

// sell returns what remains.
func (s pqSeller) sell(ctx context.Context, productID, quantity int64) (remaining int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT purchase($1, $2)", productID, quantity).
		Scan(&remaining)
	return remaining, translate(err)
}

func (s pqSeller) sellSeat(ctx context.Context, seatID string, quantity int64) (remaining int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT purchase($1, $2, 'shop_seat')", seatID, quantity).
		Scan(&remaining)
	return remaining, translate(err)
}

// sellCart sells all lines or none.
func (s pqSeller) sellCart(ctx context.Context, lines []line) (sold []soldLine, err error) {
	var ids, quantities []int64
	for _, l := range lines {
		ids = append(ids, l.ProductID)
		quantities = append(quantities, l.Quantity)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT * FROM purchase_cart($1, $2)",
		pq.Array(ids), pq.Array(quantities))
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

func (s pqSeller) trySell(ctx context.Context, productID, quantity int64) (o outcome, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT * FROM purchase_try($1, $2)", productID, quantity).
		Scan(&o.Outcome, &o.Remaining)
	return o, err
}

func translate(err error) error {
	var pqErr *pq.Error
	if errors.As(err, &pqErr) {
		return saleError(string(pqErr.Code), err)
	}
	return err
}

// openPatiently has connections whose sales wait for a busy product.
func openPatiently() (*sql.DB, error) {
	return sql.Open("postgres", "sslmode=disable options='-c purchase.lock_wait=2s'")
}

type pqShop struct {
	pqSeller
	db *sql.DB
}

// order has the sale, the order line and the payment, or nothing.
func (s pqShop) order(ctx context.Context, productID, quantity int64, pay func() error) (err error) {
	defer func() { err = translate(err) }() // other statements and COMMIT can fail, too
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err = (pqSeller{tx}).sell(ctx, productID, quantity); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)",
		productID, quantity)
	if err != nil {
		return err
	}
	if err = pay(); err != nil {
		return err
	}
	return tx.Commit()
}
