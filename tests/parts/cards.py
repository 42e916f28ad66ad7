"""An agent whose card has every field."""

from typing import Any

from lambdaagent.api.agent import LambdaAgent, parse

URL = "https://gw.example.com/agents/shop/cart/api/a2a"
SKILLS = [
    {
        "id": "add",
        "name": "Add",
        "description": "Adds to the cart.",
        "tags": ["shop"],
        "examples": ["two apples"],
        "inputModes": ["text", "json", "image/png"],
    },
    {"id": "pay", "name": "Pay", "outputModes": ["json"]},
]


def agent(image: dict[str, Any] | None = None, **a2a: Any) -> LambdaAgent:
    spec = {
        "image": {"repository": "r", "tag": "v7", **(image or {})},
        "a2a": {"enabled": True, "skills": SKILLS, **a2a},
    }
    return parse({"metadata": {"name": "cart", "namespace": "shop"}, "spec": spec})


RICH = {
    "provider": {"organization": "Shop", "url": "https://shop.example.com"},
    "documentationUrl": "https://docs.example.com",
    "iconUrl": "https://icons.example.com/i.png",
    "description": "The cart",
    "version": "3",
}
