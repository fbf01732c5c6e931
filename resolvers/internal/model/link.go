package model

import (
	"context"
	"slices"

	"github.com/clew-security/clew/graph"
)

// Link is the type of that name.
type Link struct {
	graph.Link
	in *siblings[*Link]
	at int
}

// LinkEdge is the type of that name.
type LinkEdge struct {
	Cursor string
	Node   *Link
}

// LinkConnection is the type of that name.
type LinkConnection struct {
	page
	Nodes []*Link
}

// Edges are the nodes with their cursors.
func (c *LinkConnection) Edges() []*LinkEdge {
	return edgesOf(c.page, c.Nodes, func(cursor string, n *Link) *LinkEdge { return &LinkEdge{cursor, n} })
}

// Links hold the incident together. They are part of the incident, so nothing is read.
func (i *Incident) Links(first *int32, after *string) (*LinkConnection, error) {
	p, err := i.in.paging(listName("Incident.links", i.ID), anySize, first, after)
	if err != nil {
		return nil, err
	}
	all, err := together(i.in, "links "+p.question(), func() ([]*LinkConnection, error) {
		return linksOfIncidents(i.in, p), nil
	})
	if err != nil {
		return nil, err
	}
	return all[i.at], nil
}

func linksOfIncidents(in *siblings[*Incident], p paging) []*LinkConnection {
	kin := newSiblings[*Link](in.Session, nil)
	out := make([]*LinkConnection, len(in.rows))
	for i, incident := range in.rows {
		own := p
		own.list = listName("Incident.links", incident.ID)
		links := slices.SortedFunc(slices.Values(incident.Incident.Links), graph.Link.Compare)
		part, more := cut(links, p, linkKey)
		nodes := make([]*Link, len(part))
		for j, l := range part {
			nodes[j] = &Link{l, kin, len(kin.rows)}
			kin.rows = append(kin.rows, nodes[j])
		}
		out[i] = &LinkConnection{in.page(own, keysOf(part, linkKey), more, counted(len(links))), nodes}
	}
	return out
}

// linkKey orders as graph.Link.Compare does.
func linkKey(l graph.Link) []byte { return slices.Concat(l.A[:], l.B[:], []byte(l.Rule)) }

// Rule that made the link.
func (l *Link) Rule() Word { return Word(l.Link.Rule) }

// Alerts are the two.
func (l *Link) Alerts(ctx context.Context) ([]*Alert, error) {
	all, err := together(l.in, "alerts", func() ([][]*Alert, error) {
		return l.in.alertLists(ctx, mapped(l.in.rows, func(l *Link) []graph.ID { return []graph.ID{l.A, l.B} }))
	})
	if err != nil {
		return nil, err
	}
	return all[l.at], nil
}

// Entities the rule went by.
func (l *Link) Entities(ctx context.Context) ([]Entity, error) {
	all, err := together(l.in, "entities", func() ([][]Entity, error) {
		return l.in.entityLists(ctx, mapped(l.in.rows, func(l *Link) []graph.ID { return l.Link.Entities }))
	})
	if err != nil {
		return nil, err
	}
	return all[l.at], nil
}
