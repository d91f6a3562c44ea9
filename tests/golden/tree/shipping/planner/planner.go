// Package planner decides which articles travel together.
package planner

import (
	"fmt"
	"sort"

	"hazelmart.example/shipping/carrier"
)

// MaxParcelGram is what one person may lift alone.
const MaxParcelGram = 20000

// Item is one article of an order, as the shelf knows it.
type Item struct {
	SKU        string
	WeightGram int
	Shelf      string
	Fragile    bool
}

// PackItems fills boxes first-fit, heaviest articles first; fragile things get a box of their own.
func PackItems(orderID string, items []Item) ([]carrier.Parcel, error) {
	sorted := append([]Item(nil), items...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].WeightGram > sorted[j].WeightGram })

	var parcels []carrier.Parcel
	open := 0
	add := func(weight int) {
		parcels = append(parcels, carrier.Parcel{
			ID:         fmt.Sprintf("%s-%d", orderID, len(parcels)+1),
			OrderID:    orderID,
			WeightGram: weight,
		})
	}
	for _, item := range sorted {
		if item.WeightGram > MaxParcelGram {
			return nil, fmt.Errorf("planner: %s is too heavy for a parcel", item.SKU)
		}
		if item.Fragile {
			add(item.WeightGram)
			parcels[len(parcels)-1], parcels[open] = parcels[open], parcels[len(parcels)-1]
			open++
			continue
		}
		placed := false
		for i := open; i < len(parcels); i++ {
			if parcels[i].WeightGram+item.WeightGram <= MaxParcelGram {
				parcels[i].WeightGram += item.WeightGram
				placed = true
				break
			}
		}
		if !placed {
			add(item.WeightGram)
		}
	}
	return parcels, nil
}

// PickingRoute orders the shelves so that a picker walks each aisle once, up the odd ones and down the even ones.
func PickingRoute(items []Item) []string {
	aisles := map[byte][]string{}
	for _, item := range items {
		aisles[item.Shelf[0]] = append(aisles[item.Shelf[0]], item.Shelf)
	}
	names := make([]byte, 0, len(aisles))
	for name := range aisles {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return names[i] < names[j] })

	var route []string
	for i, name := range names {
		shelves := aisles[name]
		sort.Strings(shelves)
		if i%2 == 1 {
			sort.Sort(sort.Reverse(sort.StringSlice(shelves)))
		}
		route = append(route, shelves...)
	}
	return route
}
