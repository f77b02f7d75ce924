module tercet.dev/tercet-go

go 1.23
