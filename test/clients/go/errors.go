package main

import (
	"errors"
	"math/rand"
	"time"
)

// What a shop wants to tell apart when a sale fails. The driver's own error is
// wrapped beside it.
var (
	ErrProductNotFound      = errors.New("product not found")
	ErrOutOfStock           = errors.New("out of stock")
	ErrInsufficientQuantity = errors.New("insufficient quantity")
	ErrProductBusy          = errors.New("product busy")
)

// A SaleError is one of the above to errors.Is, and the driver's to errors.As.
type SaleError struct {
	Reason error
	Driver error
}

func (e *SaleError) Error() string        { return e.Driver.Error() }
func (e *SaleError) Is(target error) bool { return target == e.Reason }
func (e *SaleError) Unwrap() error        { return e.Driver }

var reasons = map[string]error{
	"SK001": ErrProductNotFound,
	"SK002": ErrOutOfStock,
	"SK003": ErrInsufficientQuantity,
	"55P03": ErrProductBusy,
}

// saleError gives the driver's error its meaning, if its SQLSTATE has one.
func saleError(sqlstate string, err error) error {
	if reason := reasons[sqlstate]; reason != nil {
		return &SaleError{Reason: reason, Driver: err}
	}
	return err
}

// retrying repeats a whole transaction while the product is busy.
func retrying(attempt func() error) error {
	for {
		err := attempt()
		if !errors.Is(err, ErrProductBusy) {
			return err
		}
		time.Sleep(time.Duration(rand.Intn(20)) * time.Millisecond)
	}
}
