"""Networks: built, trained, checked and described."""
