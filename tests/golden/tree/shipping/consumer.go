package shipping

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"hazelmart.example/shipping/carrier"
	"hazelmart.example/shipping/planner"
)

// OrderPaid is the message the order service sends once the money is in.
type OrderPaid struct {
	ID    string `json:"id"`
	Order string `json:"order"`
	Data  struct {
		Country string `json:"country"`
		Label   string `json:"label"`
		Lines   []struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"quantity"`
		} `json:"lines"`
	} `json:"data"`
}

// Store keeps shipments and remembers which messages were handled.
type Store interface {
	FirstTime(ctx context.Context, messageID string) (bool, error)
	SaveShipment(ctx context.Context, s Shipment) error
	ItemsOf(ctx context.Context, sku string, quantity int) ([]planner.Item, error)
}

// Shipment is everything that leaves the house for one order.
type Shipment struct {
	OrderID string
	Labels  []carrier.Label
	Created time.Time
}

// Consumer turns paid orders into shipments.
type Consumer struct {
	Store    Store
	Carriers []carrier.Carrier
	Now      func() time.Time
}

// HandleOrderPaid plans the parcels of an order, picks a carrier for each and prints the labels.
func (c *Consumer) HandleOrderPaid(ctx context.Context, raw []byte) error {
	var message OrderPaid
	if err := json.Unmarshal(raw, &message); err != nil {
		return fmt.Errorf("shipping: unreadable message: %w", err)
	}
	fresh, err := c.Store.FirstTime(ctx, message.ID)
	if err != nil {
		return err
	}
	if !fresh {
		slog.Info("message was handled before", "id", message.ID)
		return nil
	}

	var items []planner.Item
	for _, line := range message.Data.Lines {
		found, err := c.Store.ItemsOf(ctx, line.SKU, line.Quantity)
		if err != nil {
			return err
		}
		items = append(items, found...)
	}
	parcels, err := planner.PackItems(message.Order, items)
	if err != nil {
		return err
	}

	shipment := Shipment{OrderID: message.Order, Created: c.Now()}
	for _, parcel := range parcels {
		parcel.Country, parcel.Postcode = message.Data.Country, message.Data.Label
		chosen, cents, err := carrier.Cheapest(parcel, c.Carriers)
		if err != nil {
			return err
		}
		label, err := chosen.PrintLabel(ctx, parcel)
		if err != nil {
			return err
		}
		slog.Info("parcel labelled", "parcel", parcel.ID, "carrier", chosen.Name(), "cents", cents)
		shipment.Labels = append(shipment.Labels, label)
	}
	return c.Store.SaveShipment(ctx, shipment)
}
