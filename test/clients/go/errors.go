package main

import (
	"errors"
	"math/rand"
	"time"
)

// What a shop wants to tell apart when a sale fails, in words for the buyer.
var (
	ErrProductNotFound      = errors.New("there is no such product")
	ErrOutOfStock           = errors.New("it is sold out")
	ErrInsufficientQuantity = errors.New("there are not so many left")
	ErrProductBusy          = errors.New("somebody else is buying it, try again")
	ErrConflict             = errors.New("your order met another, try again")
)

// A SaleError is one of the above to errors.Is, and the driver's to errors.As.
// What the server says names tables and is not for the buyer.
type SaleError struct {
	Reason error
	Driver error
}

func (e *SaleError) Error() string        { return e.Reason.Error() }
func (e *SaleError) Is(target error) bool { return target == e.Reason }
func (e *SaleError) Unwrap() error        { return e.Driver }

var reasons = map[string]error{
	"SK001": ErrProductNotFound,
	"SK002": ErrOutOfStock,
	"SK003": ErrInsufficientQuantity,
	"55P03": ErrProductBusy,
	"40001": ErrConflict, // serialization failure
	"40P01": ErrConflict, // deadlock
}

// saleError gives the driver's error its meaning, if its SQLSTATE has one.
func saleError(sqlstate string, err error) error {
	if sale := (*SaleError)(nil); errors.As(err, &sale) {
		return err
	}
	if reason := reasons[sqlstate]; reason != nil {
		return &SaleError{Reason: reason, Driver: err}
	}
	return err
}

// Needless since Go 1.20.
func init() { rand.Seed(time.Now().UnixNano()) }

// retrying runs a whole transaction, and again while it fails for what passes.
func retrying(tries int, attempt func() error) error {
	delay := 10 * time.Millisecond
	for {
		err := attempt()
		tries--
		passes := errors.Is(err, ErrProductBusy) || errors.Is(err, ErrConflict)
		if !passes || tries <= 0 {
			return err
		}
		time.Sleep(time.Duration(rand.Int63n(int64(delay))))
		if delay < 100*time.Millisecond {
			delay *= 2
		}
	}
}
