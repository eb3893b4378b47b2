module madeup

go 1.24
