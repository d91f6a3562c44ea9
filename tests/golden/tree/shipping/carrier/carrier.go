// Package carrier hides the differences between the companies that take our parcels.
package carrier

import (
	"context"
	"errors"
	"time"
)

// ErrNotServed is returned for a destination a carrier does not go to.
var ErrNotServed = errors.New("carrier: destination not served")

// Parcel is one box with its contents' weight.
type Parcel struct {
	ID         string
	OrderID    string
	WeightGram int
	LengthMM   int
	WidthMM    int
	HeightMM   int
	Country    string
	Postcode   string
}

// Label is what gets glued onto the box.
type Label struct {
	TrackingNumber string
	PDF            []byte
	Carrier        string
}

// Carrier is implemented once for each company.
type Carrier interface {
	Name() string
	Quote(p Parcel) (cents int, err error)
	BookPickup(ctx context.Context, parcels []Parcel, day time.Time) error
	PrintLabel(ctx context.Context, p Parcel) (Label, error)
}

// Cheapest asks every carrier for its price and keeps the lowest.
func Cheapest(p Parcel, carriers []Carrier) (Carrier, int, error) {
	var best Carrier
	lowest := 0
	for _, c := range carriers {
		cents, err := c.Quote(p)
		if errors.Is(err, ErrNotServed) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if best == nil || cents < lowest {
			best, lowest = c, cents
		}
	}
	if best == nil {
		return nil, 0, ErrNotServed
	}
	return best, lowest, nil
}
