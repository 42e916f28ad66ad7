"""A LangGraph graph with messages in its state, served by the LangGraph server with its A2A endpoint."""

import asyncio

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt


async def echo(state: MessagesState) -> MessagesState:
    """Answer by fixed rules, for the example and the tests; call your model here."""
    *before, last = [message.text for message in state["messages"] if message.type == "human"]
    files = [block for block in state["messages"][-1].content if isinstance(block, dict) and block["type"] != "text"]
    text = " ".join([last, *(f"[{block['type']} {block.get('mime_type')}]" for block in files)])
    if text == "fail":
        raise RuntimeError("broken")
    if text == "wait":
        await asyncio.sleep(8)
    if text == "ask":
        text = str(interrupt("Which one?"))
    said = " ".join(before) if text == "remember" else f"You said {text}."
    return {"messages": [AIMessage(said)]}


graph = StateGraph(MessagesState).add_node(echo).add_edge(START, "echo").add_edge("echo", END).compile()
