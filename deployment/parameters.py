"""The parameters of template.yaml as a table: what `sam deploy --guided` asks."""

from local.template import written


def parameters() -> str:
    """A row for each parameter, in the order of the questions."""
    rows = ["| Question | Takes | By itself | What it does |", "|---|---|---|---|"]
    for name, one in written()["Parameters"].items():
        takes = ", ".join(f"`{value}`" for value in one.get("AllowedValues", [])) or ("a number" if one["Type"] == "Number" else "text")
        default = f"`{one['Default']}`" if one["Default"] != "" else "empty"
        rows.append(f"| `Parameter {name}` | {takes} | {default} | {one['Description'].replace('|', '&#124;')} |")
    return "\n".join(rows)
